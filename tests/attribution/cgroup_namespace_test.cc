// The socket probes in a container's cgroup namespace.
#include <bpf/bpf.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "base/fd.h"
#include "kernel/bpf/socket_probes.h"

namespace sluice {
namespace {

namespace fs = std::filesystem;

std::string Root() { return fs::exists("/sys/fs/cgroup/cgroup.procs") ? "/sys/fs/cgroup" : "/sys/fs/cgroup/unified"; }

// Programs that are attached to the root of all cgroups and see sockets being made.
int AttachedToRoot(int root) {
  __u32 numbers[64], count = 64;
  return bpf_prog_query(root, BPF_CGROUP_INET_SOCK_CREATE, 0, nullptr, numbers, &count) == 0 ? static_cast<int>(count)
                                                                                             : -1;
}

// In a cgroup namespace of its own, below `cgroup`: is one more program attached to the root?
bool AttachesToRoot(const std::string& cgroup, int root) {
  std::ofstream(cgroup + "/cgroup.procs") << 0 << std::flush;
  if (unshare(CLONE_NEWCGROUP) != 0) return false;
  const int before = AttachedToRoot(root);
  const auto probes = bpf::SocketProbes::Start({});
  if (!probes.ok()) std::fprintf(stderr, "%s\n", probes.status().ToString().c_str());
  return probes.ok() && before >= 0 && AttachedToRoot(root) == before + 1;
}

TEST(SocketProbes, AttachToTheRootFromACgroupNamespace) {
  const std::string cgroup = Root() + "/sluice-test-" + std::to_string(getpid());
  const Fd root(open(Root().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  ASSERT_TRUE(root.valid());
  ASSERT_TRUE(fs::create_directory(cgroup));
  const pid_t child = fork();
  if (child == 0) _exit(AttachesToRoot(cgroup, root.get()) ? 0 : 1);
  int status = -1;
  EXPECT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  EXPECT_EQ(rmdir(cgroup.c_str()), 0);
}

}  // namespace
}  // namespace sluice
