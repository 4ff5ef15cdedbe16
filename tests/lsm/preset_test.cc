// Presets, and the audit of system calls.
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>

#include "tests/hooks/hook_fixture.h"
#include "tests/lsm/lsm_fixture.h"

namespace sluice::test {
namespace {

class LsmPreset : public LsmTest {
 protected:
  Status Preset(const std::string& name, const std::string& action) {
    return Apply({"{presets: [{name: " + name + ", action: " + action + "}]}"});
  }
  // `hit` is blocked or audited by the preset, and `twin` never.
  void Check(const std::string& preset, const std::function<int()>& hit, const std::function<int()>& twin,
             const std::string& operation) {
    EXPECT_EQ(Run(hit), 0) << "no policy yet";
    ASSERT_TRUE(Preset(preset, "Audit").ok());
    EXPECT_EQ(Run(hit), 0);
    EXPECT_TRUE(Seen().starts_with(operation + " Audit spec.presets[0]"));
    ASSERT_TRUE(Preset(preset, "Block").ok());
    EXPECT_EQ(Run(hit), EPERM);
    EXPECT_TRUE(Seen().starts_with(operation + " Block spec.presets[0]"));
    EXPECT_EQ(Run(twin), 0);
    EXPECT_EQ(Seen(), "");
    ASSERT_TRUE(Apply({}).ok());
  }
};

std::string OwnFile(const std::string& name) { return fmt::format("/proc/{}/{}", getpid(), name); }

TEST_F(LsmPreset, ProtectEnv) {
  const std::string other = fmt::format("/proc/{}/", getpid());
  Check(
      "protectEnv", [&] { return OpenError(other + "environ"); },
      [&] {
        const int own = OpenError(OwnFile("environ"));
        const int thread = OpenError(fmt::format("/proc/self/task/{}/environ", getpid()));
        return own != 0 ? own : thread != 0 ? thread : OpenError(other + "status");
      },
      "open");
}

TEST_F(LsmPreset, ProtectProc) {
  const std::string other = fmt::format("/proc/{}/", getpid());
  Check(
      "protectProc", [&] { return OpenError(other + "status"); },
      [&] {
        const int own = OpenError(OwnFile("status"));
        const int all = OpenError("/proc");
        return own != 0 ? own : all != 0 ? all : OpenError("/proc/version");
      },
      "open");
}

int Copy(const std::string& from, int to) {
  const int source = open(from.c_str(), O_RDONLY | O_CLOEXEC);
  if (source < 0) return errno;
  char buffer[65536];
  for (ssize_t size = 0; (size = read(source, buffer, sizeof(buffer))) > 0;) {
    if (write(to, buffer, size) != size) return EIO;
  }
  return 0;
}

TEST_F(LsmPreset, FilelessExec) {
  const std::string twin = directory().Copy("/usr/bin/true", "twin");
  Check(
      "filelessExec",
      [] {
        const int memory = memfd_create("program", MFD_CLOEXEC);
        if (memory < 0 || Copy("/usr/bin/true", memory) != 0) return 90;
        return ExecError({fmt::format("/proc/self/fd/{}", memory)});
      },
      [&] { return ExecError({twin}); }, "execute");
  const std::string shm = fmt::format("/dev/shm/sluice-lsm-{}", getpid());
  const int file = open(shm.c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0755);
  ASSERT_GE(file, 0);
  ASSERT_EQ(Copy("/usr/bin/true", file), 0);
  close(file);
  ASSERT_TRUE(Preset("filelessExec", "Block").ok());
  EXPECT_EQ(Run([&] { return ExecError({shm}); }), EPERM);
  unlink(shm.c_str());
}

TEST_F(LsmPreset, AnonMapExec) {
  const auto map = [](int protection) {
    return mmap(nullptr, 4096, protection, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED ? errno : 0;
  };
  Check(
      "anonMapExec", [&] { return map(PROT_READ | PROT_WRITE | PROT_EXEC); },
      [&] {
        const int data = map(PROT_READ | PROT_WRITE);
        const int program = open("/usr/bin/true", O_RDONLY | O_CLOEXEC);
        const bool code = mmap(nullptr, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE, program, 0) != MAP_FAILED;
        return data != 0 ? data : code ? 0 : errno;
      },
      "map_code");
  Check(
      "anonMapExec",
      [] {
        void* const memory = mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        return ErrorOf(mprotect(memory, 4096, PROT_READ | PROT_EXEC));
      },
      [] {
        void* const memory = mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        return ErrorOf(mprotect(memory, 4096, PROT_READ));
      },
      "map_code");
}

// A process that enters a container's namespace and cgroup from outside, and then executes a program.
TEST_F(LsmPreset, Exec) {
  const std::string program = directory().Copy("/usr/bin/true", "program");
  int ends[2], gate[2];
  ASSERT_EQ(pipe(ends), 0);
  ASSERT_EQ(pipe(gate), 0);
  // The container's first process, which starts another one itself when it is told to.
  const pid_t outer = Fork([&] {
    if (unshare(CLONE_NEWPID) != 0) _exit(90);
    const pid_t init = Fork([&] {
      fixture().cgroup().Enter();
      char byte = 0;
      if (write(ends[1], &byte, 1) != 1) _exit(91);
      if (read(gate[0], &byte, 1) != 1) _exit(91);
      const int status = Reap(Fork([&] { _exit(ExecError({program})); }));
      _exit(WIFEXITED(status) ? WEXITSTATUS(status) : 92);
    });
    const int status = Reap(init);
    _exit(WIFEXITED(status) ? WEXITSTATUS(status) : 93);
  });
  char byte = 0;
  ASSERT_EQ(read(ends[0], &byte, 1), 1);
  const auto enter = [&] {
    const pid_t child = Fork([&] {
      const int space = open(fmt::format("/proc/{}/ns/pid_for_children", outer).c_str(), O_RDONLY | O_CLOEXEC);
      if (setns(space, CLONE_NEWPID) != 0) _exit(94);
      const int status = Reap(Fork([&] {
        fixture().cgroup().Enter();
        _exit(ExecError({program}));
      }));
      _exit(WIFEXITED(status) ? WEXITSTATUS(status) : 95);
    });
    const int status = Reap(child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 96;
  };
  EXPECT_EQ(enter(), 0) << "no policy yet";
  ASSERT_TRUE(Preset("exec", "Audit").ok());
  EXPECT_EQ(enter(), 0);
  EXPECT_EQ(Seen(), "execute Audit spec.presets[0] " + program);
  ASSERT_TRUE(Preset("exec", "Block").ok());
  EXPECT_EQ(enter(), EPERM);
  EXPECT_EQ(Seen(), "execute Block spec.presets[0] " + program);
  ASSERT_EQ(write(gate[1], &byte, 1), 1);
  const int status = Reap(outer);
  EXPECT_EQ(WEXITSTATUS(status), 0) << "the container's own process may start programs";
  EXPECT_EQ(Seen(), "");
  for (const int end : {ends[0], ends[1], gate[0], gate[1]}) close(end);
}

class LsmSystemCalls : public LsmTest {};

TEST_F(LsmSystemCalls, AreAudited) {
  ASSERT_TRUE(Apply({"{syscalls: {matchSyscalls: [{syscall: [getpgid, setuid]}]}}"}).ok());
  EXPECT_EQ(Run([] { return ErrorOf(syscall(SYS_getpgid, 0)); }), 0);
  const auto records = fixture().Take();
  ASSERT_EQ(records.size(), 1U);
  EXPECT_EQ(fixture().Describe(records[0]), "syscall Audit spec.syscalls.matchSyscalls[0] ");
  EXPECT_EQ(records[0].event.number, static_cast<unsigned>(SYS_getpgid));
  EXPECT_EQ(Run([] { return ErrorOf(syscall(SYS_getsid, 0)); }), 0);
  EXPECT_EQ(Seen(), "");
}

TEST_F(LsmSystemCalls, OfAProgram) {
  const std::string own = std::filesystem::read_symlink("/proc/self/exe").string();
  ASSERT_TRUE(Apply({"{syscalls: {matchSyscalls: [{syscall: [getpgid], fromSource: [{path: " + own + "}]}]}}"}).ok());
  EXPECT_EQ(Run([] { return ErrorOf(syscall(SYS_getpgid, 0)); }), 0);
  EXPECT_EQ(Seen(), "syscall Audit spec.syscalls.matchSyscalls[0] ");
  ASSERT_TRUE(Apply({"{syscalls: {matchSyscalls: [{syscall: [getpgid], fromSource: [{path: /bin/true}]}]}}"}).ok());
  EXPECT_EQ(Run([] { return ErrorOf(syscall(SYS_getpgid, 0)); }), 0);
  EXPECT_EQ(Seen(), "");
}

TEST_F(LsmSystemCalls, ForAPath) {
  for (const char* name : {"hit", "twin", "other"}) directory().Write(name, "text\n", 0644);
  std::filesystem::create_symlink("hit", Path("link"));
  ASSERT_TRUE(Apply({"{syscalls: {matchPaths: [{syscall: [unlink, openat], path: " + Path("hit") + "}]}}"}).ok());
  EXPECT_EQ(Run([&] { return OpenError(Path("link")); }), 0);
  EXPECT_EQ(Seen(), "syscall Audit spec.syscalls.matchPaths[0] " + Path("hit"));
  EXPECT_EQ(Run([&] { return ErrorOf(syscall(SYS_unlink, Path("hit").c_str())); }), 0);
  const auto records = fixture().Take();
  ASSERT_EQ(records.size(), 1U);
  EXPECT_EQ(records[0].event.number, static_cast<unsigned>(SYS_unlink));
  EXPECT_EQ(Run([&] { return ErrorOf(syscall(SYS_unlink, Path("twin").c_str())); }), 0);
  EXPECT_EQ(Run([&] { return ErrorOf(chmod(Path("other").c_str(), 0600)); }), 0);
  EXPECT_EQ(Seen(), "");
}

}  // namespace
}  // namespace sluice::test
