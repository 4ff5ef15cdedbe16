// A path counts as seen in the mount namespace that the container was started with. A workload's own mounts, in a new
// mount namespace or not, do not change a program's identity.
#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <fstream>

#include "tests/probes/class_test.h"

namespace sluice::test {
namespace {

using testing::Contains;
using testing::Not;

void Require(bool done, int status = 90) {
  if (!done) _exit(status);
}

class HomeTest : public ProcessClassTest {
 protected:
  // A child that may not mount, like a workload's process: it begins with an exec without rights, and runs commands by
  // a shell. The facts are those of its process after `instances` execs.
  struct Seen {
    Facts facts;
    v1::Exec exec;
  };
  Seen AfterInstances(const std::function<void()>& begin, int instances) {
    const pid_t child = Fork(begin);
    Seen seen;
    for (int instance = 0; instance < instances; ++instance) {
      const auto exec = fixture().WaitForExec(child);
      EXPECT_TRUE(exec.ok()) << exec.status() << " instance " << instance;
      if (exec.ok()) seen.exec = *exec;
    }
    seen.facts = Of(child);
    kill(child, SIGKILL);
    Reap(child);
    return seen;
  }
  static std::vector<int> FlagsOf(const Seen& seen) {
    return {seen.exec.process().flags().begin(), seen.exec.process().flags().end()};
  }
  static void MapRoot() {
    std::ofstream("/proc/self/setgroups") << "deny";
    std::ofstream("/proc/self/uid_map") << "0 0 1";
    std::ofstream("/proc/self/gid_map") << "0 0 1";
  }
};

// open_tree(2) clones mounts into no namespace: below its descriptor each file keeps its path.
TEST_P(HomeTest, AFileOfAClonedTreeIsOnNoMountedFileSystem) {
  const Seen seen = AfterInstances(
      [] {
        const int tree = static_cast<int>(
            syscall(SYS_open_tree, AT_FDCWD, "/", OPEN_TREE_CLONE | AT_RECURSIVE | static_cast<unsigned>(O_CLOEXEC)));
        Require(tree >= 0, 91);
        char name[] = "sleep", seconds[] = "60";
        char* argv[] = {name, seconds, nullptr};
        syscall(SYS_execveat, tree, Sleep().c_str() + 1, argv, environ, 0);
      },
      1);
  EXPECT_EQ(seen.facts.program, "");
  EXPECT_THAT(FlagsOf(seen), Contains(v1::Process::FROM_MEMORY));
}

TEST_P(HomeTest, AFileOfAFileSystemThatIsNotMounted) {
  const std::string file = Sleep();
  const Seen seen = AfterInstances(
      [&file] {
        const int fs = static_cast<int>(syscall(SYS_fsopen, "tmpfs", 0));
        Require(fs >= 0 && syscall(SYS_fsconfig, fs, FSCONFIG_CMD_CREATE, nullptr, nullptr, 0) == 0, 91);
        const int mount = static_cast<int>(syscall(SYS_fsmount, fs, 0, 0));
        Require(mount >= 0, 92);
        std::string path;
        for (std::size_t at = 1; (at = file.find('/', at)) != std::string::npos; ++at)
          Require(mkdirat(mount, file.substr(1, at - 1).c_str(), 0755) == 0, 93);
        const int from = open(file.c_str(), O_RDONLY | O_CLOEXEC),
                  to = openat(mount, file.c_str() + 1, O_CREAT | O_WRONLY | O_CLOEXEC, 0755);
        char buffer[65536];
        for (ssize_t size; (size = read(from, buffer, sizeof(buffer))) > 0;)
          Require(write(to, buffer, size) == size, 94);
        close(to);
        char name[] = "sleep", seconds[] = "60";
        char* argv[] = {name, seconds, nullptr};
        syscall(SYS_execveat, mount, file.c_str() + 1, argv, environ, 0);
      },
      1);
  EXPECT_EQ(seen.facts.program, "");
  EXPECT_THAT(FlagsOf(seen), Contains(v1::Process::FROM_MEMORY));
}

// The same for the name of a script below such a directory.
TEST_P(HomeTest, AScriptBelowAClonedTreeHasNoName) {
  const TempDir dir;
  ASSERT_EQ(mkfifo((dir.path() + "/never").c_str(), 0600), 0);
  const std::string script = dir.Write("wait", "#!/bin/sh\nread line < " + dir.path() + "/never\n", 0755);
  const Seen seen = AfterInstances(
      [&script] {
        const int tree = static_cast<int>(
            syscall(SYS_open_tree, AT_FDCWD, "/", OPEN_TREE_CLONE | AT_RECURSIVE | static_cast<unsigned>(O_CLOEXEC)));
        Require(tree >= 0 && fchdir(tree) == 0, 91);
        Exec(script.substr(1), {"wait"});
      },
      1);
  EXPECT_EQ(seen.facts.program, Shell());
  EXPECT_EQ(seen.facts.script, "");
}

// Every user may make a user namespace, and mount in it.
TEST_P(HomeTest, AMountInAUserNamespaceOfOnesOwnIsNot) {
  const TempDir dir;
  const std::string evil = dir.Copy(Sleep(), "evil"), good = dir.Copy("/bin/true", "good");
  const Seen seen = AfterInstances(
      [&] {
        Require(setgid(kNobody) == 0 && setuid(kNobody) == 0, 91);
        Exec("/usr/bin/unshare",
             {"unshare", "-Urm", Shell(), "-c", "mount --bind " + evil + " " + good + " && exec " + good + " 60"});
      },
      3);
  EXPECT_EQ(seen.exec.process().binary(), good) << "so it calls it";
  EXPECT_THAT(FlagsOf(seen), Contains(v1::Process::OTHER_MOUNT_NAMESPACE));
  EXPECT_EQ(seen.facts.program, "");
  EXPECT_THAT(seen.facts.ancestors, Contains("/usr/bin/unshare"));
}

// The same for its children, also later ones.
TEST_P(HomeTest, NorForItsChildren) {
  const TempDir dir;
  const Seen seen = AfterInstances(
      [&] {
        Require(setgid(kNobody) == 0 && setuid(kNobody) == 0, 91);
        Exec("/usr/bin/unshare",
             {"unshare", "-Urm", Shell(), "-c", "exec " + Shell() + " -c 'exec " + Sleep() + " 60'"});
      },
      4);
  EXPECT_EQ(seen.facts.program, "");
}

// The reverse: a container runtime is privileged, and enters the container before it executes the first program.
TEST_P(HomeTest, AContainersFirstProgramIsAtHome) {
  const TempDir dir;
  const std::string inside = dir.Copy(Sleep(), "app");
  const Seen seen = AfterInstances(
      [&] {
        Require(unshare(CLONE_NEWNS) == 0 && mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0, 91);
        Require(mount(inside.c_str(), inside.c_str(), nullptr, MS_BIND, nullptr) == 0, 92);
        Exec(inside, {"app", "60"});
      },
      1);
  EXPECT_EQ(seen.facts.program, inside);
  EXPECT_THAT(FlagsOf(seen), Not(Contains(v1::Process::OTHER_MOUNT_NAMESPACE)));
}

TEST_P(HomeTest, AlsoInAUserNamespaceThatTheRuntimeMade) {
  const TempDir dir;
  const std::string inside = dir.Copy(Sleep(), "app");
  const Seen seen = AfterInstances(
      [&] {
        Require(unshare(CLONE_NEWUSER | CLONE_NEWNS) == 0, 91);
        MapRoot();
        Exec(inside, {"app", "60"});
      },
      1);
  EXPECT_EQ(seen.facts.program, inside);
}

// A process in that container cannot move on, because it may not mount there.
TEST_P(HomeTest, WhoIsInAContainerStaysAtHome) {
  const TempDir dir;
  const std::string shell = dir.Copy(Shell(), "entry"), app = dir.Copy(Sleep(), "app");
  const auto container = [&](const std::string& command, int instances) {
    return AfterInstances(
        [&] {
          Require(unshare(CLONE_NEWNS) == 0 && mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0, 91);
          Require(setgid(kNobody) == 0 && setuid(kNobody) == 0, 92);
          Exec(shell, {"entry", "-c", command});
        },
        instances);
  };
  EXPECT_EQ(container("exec " + app + " 60", 2).facts.program, app);
  EXPECT_EQ(container("exec unshare -Urm " + app + " 60", 3).facts.program, "");
}

// A process that enters it with the node's rights (exec into a container, nsenter) counts like the container's own.
TEST_P(HomeTest, WhoEntersWithTheNodesRightsIsAtHomeThere) {
  const TempDir dir;
  const std::string app = dir.Copy(Sleep(), "app");
  const pid_t container = Fork([&] {
    Require(unshare(CLONE_NEWNS) == 0, 91);
    Exec(Sleep(), {"sleep", "60"});
  });
  ASSERT_TRUE(fixture().WaitForExec(container).ok());
  const Seen seen = AfterInstances(
      [&] {
        const int mounts = open(("/proc/" + std::to_string(container) + "/ns/mnt").c_str(), O_RDONLY | O_CLOEXEC);
        Require(mounts >= 0 && setns(mounts, CLONE_NEWNS) == 0, 91);
        Exec(app, {"app", "60"});
      },
      1);
  EXPECT_EQ(seen.facts.program, app);
  kill(container, SIGKILL);
  Reap(container);
}

SL_FOR_EACH_BACK_END(HomeTest);

}  // namespace
}  // namespace sluice::test
