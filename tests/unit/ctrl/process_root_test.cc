#include "ctrl/node/process_root.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>

namespace sluice::node {
namespace {

// A process like a container's first one: its own mount namespace with another root directory, which `build` fills (its
// working directory).
class Container {
 public:
  template <typename Build>
  explicit Container(const Build& build) {
    int ready[2];
    if (pipe2(ready, O_CLOEXEC) != 0) return;
    pid_ = fork();
    if (pid_ == 0) {
      prctl(PR_SET_PDEATHSIG, SIGKILL);
      if (!Enter(build)) _exit(1);
      static_cast<void>(write(ready[1], "r", 1));
      for (;;) pause();
    }
    close(ready[1]);
    char byte = 0;
    is_ready_ = read(ready[0], &byte, 1) == 1;
    close(ready[0]);
  }
  ~Container() {
    if (pid_ <= 0) return;
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }
  Container(const Container&) = delete;
  Container& operator=(const Container&) = delete;

  bool is_ready() const { return is_ready_; }
  pid_t pid() const { return pid_; }
  std::uint64_t mount_namespace() const {
    struct stat found {};
    return stat(("/proc/" + std::to_string(pid_) + "/ns/mnt").c_str(), &found) == 0 ? found.st_ino : 0;
  }

 private:
  template <typename Build>
  static bool Enter(const Build& build) {
    if (unshare(CLONE_NEWNS) != 0 || mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) return false;
    if (mount("none", "/tmp", "tmpfs", 0, nullptr) != 0 || chdir("/tmp") != 0) return false;
    build();
    return syscall(SYS_pivot_root, ".", ".") == 0 && umount2(".", MNT_DETACH) == 0 && chdir("/") == 0;
  }

  pid_t pid_ = -1;
  bool is_ready_ = false;
};

void Write(const char* path, const std::string& text) { std::ofstream(path) << text; }

class ProcessRootTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (geteuid() != 0) GTEST_SKIP() << "needs root to make a mount namespace";
    ASSERT_TRUE(container_.is_ready());
    auto root = ProcessRoot::Open(container_.pid(), container_.mount_namespace());
    ASSERT_TRUE(root.ok()) << root.status();
    root_.emplace(*std::move(root));
  }
  std::string PathOf(const std::string& path) const {
    const auto file = root_->Find(path);
    return file ? file->path : "";
  }

  Container container_{[] {
    for (const char* directory : {"usr", "usr/bin", "opt", "opt/v1", "etc"}) mkdir(directory, 0755);
    Write("usr/bin/python3.11",
          "\x7f"
          "ELF");
    Write("usr/bin/pip", "#!/usr/bin/python3\n");
    Write("opt/v1/app",
          "\x7f"
          "ELF");
    Write("etc/hostname", "container\n");
    static_cast<void>(!symlink("usr/bin", "bin"));
    static_cast<void>(!symlink("python3.11", "usr/bin/python3"));
    static_cast<void>(!symlink("/etc/alternatives/python", "usr/bin/python"));
    static_cast<void>(!symlink("pip", "usr/bin/pip3"));
    mkdir("etc/alternatives", 0755);
    static_cast<void>(!symlink("/usr/bin/python3", "etc/alternatives/python"));
    static_cast<void>(!symlink("v1", "opt/current"));
    static_cast<void>(!symlink("../../../../../etc/hostname", "escape"));
    static_cast<void>(!symlink("/proc/1/root/etc/passwd", "outside"));
    static_cast<void>(!symlink("loop2", "loop1"));
    static_cast<void>(!symlink("loop1", "loop2"));
    mkfifo("pipe", 0666);
    static_cast<void>(!symlink("pipe", "to_pipe"));
    std::string deep;
    for (int i = 0; i < 1000; ++i) deep += "./../";
    static_cast<void>(!symlink((deep + "usr/bin/python3.11").substr(deep.size() - 4000).c_str(), "long"));
  }};
  std::optional<ProcessRoot> root_;
};

TEST_F(ProcessRootTest, LinksAreFollowedAsTheProcessSeesThem) {
  EXPECT_EQ(PathOf("/usr/bin/python3"), "/usr/bin/python3.11");
  EXPECT_EQ(PathOf("/usr/bin/python"), "/usr/bin/python3.11") << "by way of /etc/alternatives";
  EXPECT_EQ(PathOf("/bin/python3"), "/usr/bin/python3.11") << "by way of /bin";
  EXPECT_EQ(PathOf("/opt/current/app"), "/opt/v1/app");
  EXPECT_EQ(PathOf("/opt/current"), "/opt/v1");
}

TEST_F(ProcessRootTest, WhatIsNoLinkHasItsOwnPath) {
  EXPECT_EQ(PathOf("/usr/bin/python3.11"), "/usr/bin/python3.11");
  EXPECT_EQ(PathOf("/usr/bin/ruby"), "");
}

TEST_F(ProcessRootTest, ScriptsAreTold) {
  EXPECT_TRUE(root_->Find("/usr/bin/pip3")->is_script);
  EXPECT_FALSE(root_->Find("/usr/bin/python3")->is_script);
}

TEST_F(ProcessRootTest, NothingLeadsOut) {
  EXPECT_EQ(PathOf("/escape"), "/etc/hostname") << "the container's";
  EXPECT_EQ(PathOf("/outside"), "");
  EXPECT_EQ(PathOf("/../../../usr/bin/python3"), "/usr/bin/python3.11");
}

TEST_F(ProcessRootTest, NothingHoldsUp) {
  EXPECT_EQ(PathOf("/loop1"), "");
  EXPECT_EQ(PathOf("/to_pipe"), "/pipe") << "nobody writes to it";
  EXPECT_EQ(PathOf("/long"), "") << "a thousand steps";
}

TEST_F(ProcessRootTest, AnotherProcessUnderTheNumberIsNotTaken) {
  EXPECT_TRUE(absl::IsNotFound(ProcessRoot::Open(container_.pid(), container_.mount_namespace() + 1).status()));
  EXPECT_FALSE(ProcessRoot::Open(getpid(), container_.mount_namespace()).ok());
}

}  // namespace
}  // namespace sluice::node
