// The content of exec events.
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "tests/probes/sensor_test.h"

namespace sluice::test {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::Not;
using Process = v1::Process;

std::uint32_t NamespaceNumber(const char* kind) {
  struct stat status {};
  return stat((std::string("/proc/self/ns/") + kind).c_str(), &status) == 0 ? status.st_ino : 0;
}

class ExecTest : public SensorTest {
 protected:
  // The exec of a child that runs `body`; waits until the child is reaped.
  void Run(const std::function<void()>& body) {
    const pid_t child = Fork(body);
    Reap(child);
    const auto exec = fixture().WaitForExec(child);
    ASSERT_TRUE(exec.ok()) << exec.status();
    process_ = exec->process();
  }
  std::vector<std::string> arguments() const { return {process_.arguments().begin(), process_.arguments().end()}; }
  std::vector<int> flags() const { return {process_.flags().begin(), process_.flags().end()}; }

  Process process_;
};

TEST_P(ExecTest, SaysWhatRanAndWhere) {
  Run([] {
    if (chdir("/usr/share") == 0) Exec(True(), {"true", "-h", "", "two words"});
  });
  EXPECT_EQ(process_.binary(), True());
  EXPECT_EQ(process_.argument0(), "true");
  EXPECT_THAT(arguments(), ElementsAre("-h", "", "two words"));
  EXPECT_EQ(process_.working_directory(), "/usr/share");
  EXPECT_EQ(process_.name(), "true");
  EXPECT_EQ(process_.script(), "");
  EXPECT_EQ(process_.tid(), process_.pid());
  EXPECT_EQ(process_.namespace_pid(), process_.pid());
  EXPECT_EQ(process_.namespaces().net(), NamespaceNumber("net"));
  EXPECT_EQ(process_.namespaces().mnt(), NamespaceNumber("mnt"));
  EXPECT_EQ(process_.namespaces().pid(), NamespaceNumber("pid"));
  EXPECT_EQ(process_.namespaces().user(), NamespaceNumber("user"));
  EXPECT_EQ(process_.namespaces().uts(), NamespaceNumber("uts"));
  EXPECT_EQ(process_.namespaces().ipc(), NamespaceNumber("ipc"));
  EXPECT_EQ(process_.namespaces().cgroup(), NamespaceNumber("cgroup"));
  EXPECT_THAT(flags(), IsEmpty());
  EXPECT_TRUE(process_.exec_id().starts_with("node-1:" + std::to_string(process_.pid()) + ":")) << process_.exec_id();
}

TEST_P(ExecTest, NoArgumentsAtAll) {
  Run([] { Exec(True(), {}); });  // since 5.18 the kernel passes one empty string instead
  EXPECT_EQ(process_.argument0(), "");
  EXPECT_THAT(arguments(), IsEmpty());
}

TEST_P(ExecTest, Argument0MayLie) {
  Run([] { Exec(True(), {"/usr/sbin/sshd", "-D"}); });
  EXPECT_EQ(process_.binary(), True());
  EXPECT_EQ(process_.argument0(), "/usr/sbin/sshd");
}

TEST_P(ExecTest, ThirtyTwoKibOfArgumentsAreWhole) {
  std::vector<std::string> all{"true"};
  std::size_t size = 5;
  for (int i = 0; size < 32768; ++i) {
    all.push_back(std::to_string(i) + std::string(static_cast<std::size_t>(i % 97), 'x'));
    size += all.back().size() + 1;
  }
  Run([&] { Exec(True(), all); });
  all.erase(all.begin());
  EXPECT_EQ(arguments(), all);
  EXPECT_THAT(flags(), Not(Contains(Process::ARGUMENTS_TRUNCATED)));
}

TEST_P(ExecTest, OneLongArgumentIsWhole) {
  const std::string argument(32767, 'a');
  Run([&] { Exec(True(), {"true", argument}); });
  EXPECT_THAT(arguments(), ElementsAre(argument));
  EXPECT_THAT(flags(), IsEmpty());
}

TEST_P(ExecTest, LongerArgumentsAreCutOffAndItIsSaid) {
  const std::string argument(100'000, 'b');
  Run([&] { Exec(True(), {"true", argument}); });
  ASSERT_EQ(arguments().size(), 1U);
  EXPECT_GE(arguments()[0].size(), 32768U);
  EXPECT_TRUE(argument.starts_with(arguments()[0]));
  EXPECT_THAT(flags(), ElementsAre(Process::ARGUMENTS_TRUNCATED));
}

TEST_P(ExecTest, BytesThatAreNoTextAreSpelledOut) {
  Run([] { Exec(True(), {"true", "\xff\xfez", "\xc3\xa4"}); });
  EXPECT_THAT(arguments(), ElementsAre("\\xff\\xfez", "\xc3\xa4"));
}

TEST_P(ExecTest, UserAndCapabilities) {
  Run([] {
    if (setgroups(0, nullptr) == 0 && setgid(1234) == 0 && setuid(kNobody) == 0) Exec(True(), {"true"});
  });
  EXPECT_EQ(process_.uid(), kNobody);
  EXPECT_EQ(process_.effective_uid(), kNobody);
  EXPECT_EQ(process_.gid(), 1234U);
  EXPECT_EQ(process_.capabilities_size(), 0);
  Run([] { Exec(True(), {"true"}); });
  EXPECT_EQ(process_.uid(), 0U);
  EXPECT_THAT(process_.capabilities(), Contains("CAP_NET_ADMIN"));
}

TEST_P(ExecTest, LoginUserIsOnlySaidWhenThereIsOne) {
  std::string own;
  std::ifstream("/proc/self/loginuid") >> own;
  Run([] { Exec(True(), {"true"}); });
  EXPECT_EQ(process_.has_login_uid(), !own.empty() && own != "4294967295");
  Run([] {
    std::ofstream("/proc/self/loginuid") << "1777" << std::flush;
    Exec(True(), {"true"});
  });
  if (own.empty()) GTEST_SKIP() << "this kernel keeps no login uid (CONFIG_AUDIT)";
  EXPECT_EQ(process_.login_uid(), 1777U);
}

TEST_P(ExecTest, SetUserIdProgram) {
  const TempDir dir;
  const std::string program = dir.Copy(True(), "suid");
  ASSERT_EQ(chmod(program.c_str(), 04755), 0);
  Run([&] {
    if (setuid(kNobody) == 0) Exec(program, {"suid"});
  });
  EXPECT_EQ(process_.uid(), kNobody);
  EXPECT_EQ(process_.effective_uid(), 0U);
  EXPECT_THAT(flags(), ElementsAre(Process::SETUID, Process::PRIVILEGES_GAINED));
}

TEST_P(ExecTest, SetGroupIdProgram) {
  const TempDir dir;
  const std::string program = dir.Copy(True(), "sgid");
  ASSERT_EQ(chown(program.c_str(), 0, 4321), 0);
  ASSERT_EQ(chmod(program.c_str(), 02755), 0);
  Run([&] {
    if (setuid(kNobody) == 0) Exec(program, {"sgid"});
  });
  EXPECT_THAT(flags(), ElementsAre(Process::SETGID, Process::PRIVILEGES_GAINED));
}

TEST_P(ExecTest, UnlinkedProgram) {
  const TempDir dir;
  const std::string program = dir.Copy(True(), "gone");
  Run([&] {
    const int fd = open(program.c_str(), O_RDONLY | O_CLOEXEC);
    unlink(program.c_str());
    char* argv[] = {const_cast<char*>("gone"), nullptr};
    char* none[] = {nullptr};
    fexecve(fd, argv, none);
  });
  EXPECT_EQ(process_.binary(), program);
  EXPECT_THAT(flags(), ElementsAre(Process::UNLINKED));
}

TEST_P(ExecTest, ProgramInMemory) {
  std::ifstream file(True(), std::ios::binary);
  const std::string bytes((std::istreambuf_iterator<char>(file)), {});
  Run([&] {
    const int fd = memfd_create("payload", MFD_CLOEXEC);
    if (write(fd, bytes.data(), bytes.size()) != static_cast<ssize_t>(bytes.size())) _exit(1);
    char* argv[] = {const_cast<char*>("[kworker]"), nullptr};
    char* none[] = {nullptr};
    fexecve(fd, argv, none);
  });
  EXPECT_EQ(process_.binary(), "/memfd:payload");
  EXPECT_THAT(flags(), ElementsAre(Process::UNLINKED, Process::FROM_MEMORY));
}

TEST_P(ExecTest, ScriptHasItsInterpreterAndItsOwnPath) {
  const TempDir dir;
  const std::string script = dir.Write("deploy.sh", "#!/bin/sh -e\n:\n", 0755);
  Run([&] { Exec(script, {"deploy", "now"}); });
  EXPECT_EQ(process_.binary(), std::filesystem::canonical("/bin/sh"));
  EXPECT_EQ(process_.script(), script);
  EXPECT_EQ(process_.argument0(), "/bin/sh");
  EXPECT_THAT(arguments(), ElementsAre("-e", script, "now"));
}

TEST_P(ExecTest, RelativeScript) {
  const TempDir dir;
  const std::string script = dir.Write("run", "#!/bin/sh\n:\n", 0755);
  Run([&] {
    if (chdir(dir.path().c_str()) == 0) Exec("./run", {"./run"});
  });
  EXPECT_EQ(process_.script(), script);
}

TEST_P(ExecTest, DeepDirectories) {
  const TempDir dir;
  std::string deep = dir.path();
  while (deep.size() < 3800) deep += "/" + std::string(180, 'd');
  std::filesystem::create_directories(deep);
  std::filesystem::copy_file(True(), deep + "/program");
  Run([&] {
    if (chdir(deep.c_str()) == 0) Exec("./program", {"./program"});
  });
  EXPECT_EQ(process_.binary(), deep + "/program");
  EXPECT_EQ(process_.working_directory(), deep);
  EXPECT_THAT(flags(), IsEmpty());
}

bool BindMount(const std::string& from, const std::string& to) {
  return mount(from.c_str(), to.c_str(), nullptr, MS_BIND, nullptr) == 0;
}

bool OwnMounts() { return unshare(CLONE_NEWNS) == 0 && mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0; }

TEST_P(ExecTest, PathsGoThroughMounts) {
  const TempDir dir;
  for (const char* name : {"bin", "data", "from"}) std::filesystem::create_directory(dir.path() + "/" + name);
  dir.Copy(True(), "from/program");
  Run([&] {
    if (!OwnMounts() || !BindMount(dir.path() + "/from", dir.path() + "/bin")) _exit(1);
    if (chdir((dir.path() + "/data").c_str()) == 0) Exec(dir.path() + "/bin/program", {"program"});
  });
  EXPECT_EQ(process_.binary(), dir.path() + "/bin/program");
  EXPECT_EQ(process_.working_directory(), dir.path() + "/data");
  EXPECT_NE(process_.namespaces().mnt(), NamespaceNumber("mnt"));
}

TEST_P(ExecTest, PathsBeginAtTheRootOfTheProcess) {
  const TempDir dir;
  std::filesystem::create_directory(dir.path() + "/root");
  Run([&] {
    if (!OwnMounts() || !BindMount("/", dir.path() + "/root")) _exit(1);
    if (chroot((dir.path() + "/root").c_str()) == 0 && chdir("/usr") == 0) Exec(True(), {"true"});
  });
  EXPECT_EQ(process_.binary(), True());
  EXPECT_EQ(process_.working_directory(), "/usr");
}

TEST_P(ExecTest, ContainerIsKnownByItsCgroup) {
  const std::string root =
      std::filesystem::exists("/sys/fs/cgroup/unified") ? "/sys/fs/cgroup/unified" : "/sys/fs/cgroup";
  if (!std::filesystem::exists(root + "/cgroup.procs")) GTEST_SKIP() << "no version 2 cgroups are mounted";
  const std::string id(64, 'b');
  const std::string scope = "cri-containerd-" + id + ".scope";
  std::filesystem::create_directory(root + "/" + scope);
  Run([&] {
    std::ofstream(root + "/" + scope + "/cgroup.procs") << getpid() << std::flush;
    Exec(True(), {"true"});
  });
  struct stat status {};
  stat((root + "/" + scope).c_str(), &status);
  std::filesystem::remove(root + "/" + scope);
  EXPECT_TRUE(process_.cgroup_path().ends_with("/" + scope)) << process_.cgroup_path();
  EXPECT_EQ(process_.cgroup_id(), status.st_ino);
  EXPECT_EQ(process_.container_id(), id);
}

TEST_P(ExecTest, AFailedExecIsNone) {
  const pid_t child = Fork([] {
    execl("/nowhere/program", "program", nullptr);
    _exit(3);
  });
  EXPECT_EQ(WEXITSTATUS(Reap(child)), 3);
  const auto exit = fixture().WaitForExit(child);
  ASSERT_TRUE(exit.ok()) << exit.status();
  const auto events = fixture().Settle();
  ASSERT_TRUE(events.ok());
  for (const v1::Event& event : *events) {
    if (event.has_exec()) {
      EXPECT_NE(event.exec().process().pid(), static_cast<std::uint32_t>(child));
    }
  }
}

SL_FOR_EACH_BACK_END(ExecTest);

}  // namespace
}  // namespace sluice::test
