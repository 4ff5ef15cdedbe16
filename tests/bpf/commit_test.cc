// A change in force is never reported as refused, and waiting for running programs works without membarrier.
#include <gtest/gtest.h>
#include <linux/audit.h>
#include <linux/bpf.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include <algorithm>
#include <cstddef>
#include <vector>

#include "kernel/bpf/map.h"
#include "kernel/bpf/system.h"
#include "tests/support/environment.h"
#include "tests/support/program_fixture.h"

namespace sluice::test {
namespace {

// Makes membarrier return EINVAL for this thread and new ones, as on kernels with nohz_full CPUs; with `no_maps` no
// maps can be created either.
bool RefuseMembarrier(bool no_maps) {
  const auto load = [](std::size_t offset) {
    return sock_filter BPF_STMT(BPF_LD | BPF_W | BPF_ABS, static_cast<unsigned>(offset));
  };
  std::vector<sock_filter> filter = {
      load(offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_membarrier, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EINVAL),
  };
  if (no_maps) {
    filter.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_bpf, 0, 3));
    filter.push_back(load(offsetof(seccomp_data, args)));
    filter.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, BPF_MAP_CREATE, 0, 1));
    filter.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM));
  }
  filter.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
  const sock_fprog program{.len = static_cast<unsigned short>(filter.size()), .filter = filter.data()};
  return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0 &&
         syscall(SYS_membarrier, 0, 0, 0) < 0;
}

// Runs in a separate process, because the filter cannot be removed.
template <typename Body>
void InChild(const Body& body) {
  GTEST_FLAG_SET(death_test_style, "fast");
  EXPECT_EXIT(_exit(body() ? 0 : 1), testing::ExitedWithCode(0), "");
}

TEST(WaitForRunning, DoesWithoutMembarrier) {
  SL_REQUIRE_BPF();
  InChild([] { return RefuseMembarrier(false) && bpf::WaitForRunningPrograms().ok(); });
}

TEST(WaitForRunning, SaysWhenItCannot) {
  SL_REQUIRE_BPF();
  InChild([] { return RefuseMembarrier(true) && !bpf::WaitForRunningPrograms().ok(); });
}

// Like a node with isolated CPUs, where only RCU can wait for running programs, and that fails.
TEST(Commit, InForceIsNotRefused) {
  SL_REQUIRE_BPF();
  InChild([] {
    auto fixture = ProgramFixture::Create();
    if (!fixture.ok()) return false;
    datapath::BpfDatapath& datapath = (*fixture)->datapath();
    for (int epoch = 0; epoch < SL_EPOCHS; ++epoch)
      if (!datapath.Commit({}).ok()) return false;  // each epoch's first commit waits for the sensors; it may fail
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(static_cast<unsigned>(sched_getcpu()), &one);
    if (sched_setaffinity(0, sizeof(one), &one) != 0 || !RefuseMembarrier(true)) return false;
    const std::uint64_t before = datapath.generation();
    return datapath.Commit({}).ok() && datapath.generation() == before + 1;
  });
}

// The number is changed in the kernel, and a change comes before any check.
TEST(Commit, GoesAboveANumberThatWasMoved) {
  SL_REQUIRE_BPF();
  auto fixture = ProgramFixture::Create();
  ASSERT_TRUE(fixture.ok()) << fixture.status();
  datapath::BpfDatapath& datapath = (*fixture)->datapath();
  const auto stored = bpf::Map<__u32, __u64>::Bind(datapath.object().map_fd("generation"), "generation");
  ASSERT_TRUE(stored.ok()) << stored.status();
  for (const std::uint64_t moved_to : {1'000'000ULL, 1'000'033ULL, 7ULL}) {
    SCOPED_TRACE(moved_to);
    ASSERT_TRUE(datapath.Commit({}).ok());
    const std::uint64_t before = datapath.generation();
    ASSERT_TRUE(stored->Put(0, moved_to).ok());
    ASSERT_TRUE(datapath.Commit({}).ok());
    EXPECT_GT(datapath.generation(), std::max(before, moved_to) + 1) << "the same policy once more, and the new one";
    EXPECT_NE(datapath.generation() % SL_EPOCHS, before % SL_EPOCHS) << "the epoch that packets read is not edited";
    EXPECT_EQ(**stored->Get(0), datapath.generation());
  }
}

}  // namespace
}  // namespace sluice::test
