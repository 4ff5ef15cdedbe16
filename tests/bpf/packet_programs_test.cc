// bpf::PacketPrograms: after its wait, all programs that were running have ended.
#include "kernel/bpf/packet_programs.h"

#include <bpf/bpf.h>
#include <gtest/gtest.h>
#include <sys/mman.h>

#include <atomic>
#include <thread>

#include "base/fd.h"
#include "kernel/bpf/testing/test_run.h"
#include "tests/support/environment.h"

namespace sluice::test {
namespace {

constexpr int kLong = 4000;  // clock readings: about 100 us in each run

struct Runs {  // of a program
  std::uint64_t begun, ended;
};

// A tc program that counts its begin and its end, with a delay between them.
std::vector<bpf_insn> SlowProgram(int map_fd) {
  std::vector<bpf_insn> program = {{BPF_LD | BPF_DW | BPF_IMM, BPF_REG_6, BPF_PSEUDO_MAP_VALUE, 0, map_fd},
                                   {},
                                   {BPF_ALU64 | BPF_MOV | BPF_K, 7, 0, 0, 1}};
  const auto count = [&program](std::size_t offset) {
    program.push_back({BPF_STX | BPF_DW | BPF_ATOMIC, BPF_REG_6, BPF_REG_7, static_cast<__s16>(offset), BPF_ADD});
  };
  count(offsetof(Runs, begun));
  program.insert(program.end(), kLong, {BPF_JMP | BPF_CALL, 0, 0, 0, BPF_FUNC_ktime_get_ns});
  count(offsetof(Runs, ended));
  program.push_back({BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_0, 0, 0, 0});
  program.push_back({BPF_JMP | BPF_EXIT, 0, 0, 0, 0});
  return program;
}

class PacketProgramsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    SL_REQUIRE_BPF();
    if (std::thread::hardware_concurrency() < 2)
      GTEST_SKIP() << "needs two CPUs: on one, programs and waiting take turns";
    LIBBPF_OPTS(bpf_map_create_opts, mapped, .map_flags = BPF_F_MMAPABLE);
    map_ = Fd(bpf_map_create(BPF_MAP_TYPE_ARRAY, "runs", sizeof(__u32), sizeof(Runs), 1, &mapped));
    ASSERT_TRUE(map_.valid());
    void* const memory = mmap(nullptr, 4096, PROT_READ, MAP_SHARED, map_.get(), 0);
    ASSERT_NE(memory, MAP_FAILED);
    runs_ = static_cast<const Runs*>(memory);
    const std::vector<bpf_insn> program = SlowProgram(map_.get());
    program_ = Fd(bpf_prog_load(BPF_PROG_TYPE_SCHED_CLS, "slow", "GPL", program.data(), program.size(), nullptr));
    ASSERT_TRUE(program_.valid());
    sender_ = std::thread([this] {
      bpf::TestRunInput input;
      input.frame.resize(64);
      input.repeat = 100;
      while (!stopping_) EXPECT_TRUE(bpf::TestRunTc(program_.get(), input).ok());
    });
    while (Begun() == 0) std::this_thread::yield();
  }
  void TearDown() override {
    stopping_ = true;
    if (sender_.joinable()) sender_.join();
    if (runs_ != nullptr) munmap(const_cast<Runs*>(runs_), 4096);
  }
  std::uint64_t Begun() const { return __atomic_load_n(&runs_->begun, __ATOMIC_ACQUIRE); }
  std::uint64_t Ended() const { return __atomic_load_n(&runs_->ended, __ATOMIC_ACQUIRE); }

  // Waits while a program runs; returns how often the program was still running afterwards.
  static constexpr int kRounds = 200;
  int CountEarly(bpf::PacketPrograms& programs) const {
    int early = 0;
    for (int met = 0; met < kRounds;) {
      const std::uint64_t begun = Begun();
      if (Ended() == begun) continue;  // no program is running
      ++met;
      EXPECT_TRUE(programs.WaitForRunning().ok());
      early += Ended() < begun;
    }
    return early;
  }

  Fd map_, program_;
  const Runs* runs_ = nullptr;
  std::atomic<bool> stopping_ = false;
  std::thread sender_;
};

TEST_F(PacketProgramsTest, WaitsForThoseThatRun) {
  bpf::PacketPrograms programs;
  EXPECT_EQ(CountEarly(programs), 0);
}

TEST_F(PacketProgramsTest, SeveralMayWait) {
  bpf::PacketPrograms programs;
  std::thread other([&] { EXPECT_EQ(CountEarly(programs), 0); });
  EXPECT_EQ(CountEarly(programs), 0);
  other.join();
}

}  // namespace
}  // namespace sluice::test
