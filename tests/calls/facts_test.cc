// What events say of the process that calls: read at the call, as most of it may change without an exec.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/memfd.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "tests/calls/call_fixture.h"
#include "tests/support/environment.h"

namespace sluice::test {
namespace {

namespace fs = std::filesystem;

class CallFacts : public testing::Test {
 protected:
  void SetUp() override {
    SL_REQUIRE_BPF();
    auto made = CallFixture::Create({});
    ASSERT_TRUE(made.ok()) << made.status();
    fixture_ = *std::move(made);
  }

  // The fields of the events of a child that runs `body`, of these calls.
  std::vector<std::string> Watch(const std::string& types, const std::vector<std::string>& fields,
                                 const std::function<void()>& body) {
    fixture_->Keep(fields);
    EXPECT_TRUE(fixture_->Require({"evt.type in (" + types + ") and proc.cwd exists"}).ok());
    child_ = Fork(body);
    Reap(child_);
    fixture_->Drain();
    return fixture_->Lines(child_, fields);
  }

  static void Mark() { kill(0x7ffffff0, SIGUSR1); }  // a call that is watched

  std::unique_ptr<CallFixture> fixture_;
  pid_t child_ = 0;
};

TEST_F(CallFacts, SessionGroupTerminalNameAndDirectoryAreThoseOfTheMoment) {
  const auto lines = Watch("kill", {"proc.sid", "proc.pgid", "proc.tty", "proc.name", "proc.cwd"}, [] {
    setsid();
    Mark();
    const int terminal = open("/dev/ptmx", O_RDWR | O_NOCTTY);
    grantpt(terminal);
    unlockpt(terminal);
    ioctl(open(ptsname(terminal), O_RDWR | O_NOCTTY), TIOCSCTTY, 0);
    prctl(PR_SET_NAME, "other-name");
    if (chdir("/usr/lib") != 0) _exit(1);
    Mark();
  });
  ASSERT_EQ(lines.size(), 2U);
  const std::string own = std::to_string(child_) + " " + std::to_string(child_);
  EXPECT_EQ(lines[0], own + " 0 system_calls " + fs::current_path().string() + "/");
  EXPECT_TRUE(lines[1].starts_with(own + " 348") && lines[1].ends_with(" other-name /usr/lib/")) << lines[1];  // 136:n
}

TEST_F(CallFacts, CredentialsAreThoseOfTheMoment) {
  const auto lines = Watch("kill", {"user.uid", "group.gid", "user.loginuid", "thread.cap_permitted"}, [] {
    if (setgid(34567) != 0 || setuid(45678) != 0) _exit(1);
    Mark();
  });
  ASSERT_EQ(lines.size(), 1U);
  std::ifstream file("/proc/self/loginuid");
  std::int64_t login = -1;
  file >> login;
  if (login == 0xffffffff) login = -1;
  EXPECT_TRUE(lines[0].starts_with("45678 34567 " + std::to_string(login))) << lines[0];
  EXPECT_EQ(lines[0].find("CAP_"), std::string::npos) << lines[0];
}

TEST_F(CallFacts, TheProgramsFileIsKnown) {
  const TempDir directory;
  const std::string program = fs::canonical(directory.Copy("/bin/true", "mytrue"));
  struct stat info {};
  ASSERT_EQ(stat(program.c_str(), &info), 0);
  const auto lines = Watch("execve",
                           {"proc.exe_ino", "proc.exe_ino.ctime", "proc.exe_ino.mtime", "proc.exepath",
                            "proc.is_exe_from_memfd", "proc.is_exe_writable"},
                           [&] { Exec(program, {"mytrue"}); });
  ASSERT_EQ(lines.size(), 1U);
  const auto ns = [](const timespec& time) { return std::to_string(time.tv_sec * 1'000'000'000LL + time.tv_nsec); };
  EXPECT_EQ(lines[0], std::to_string(info.st_ino) + " " + ns(info.st_ctim) + " " + ns(info.st_mtim) + " " + program +
                          " false true");
}

TEST_F(CallFacts, AProgramInMemoryIsToldFromAFile) {
  const auto lines = Watch("execve, execveat", {"evt.res", "proc.is_exe_from_memfd", "proc.exepath"}, [] {
    const int memory = memfd_create("payload", 0);
    const int from = open("/bin/true", O_RDONLY);
    char bytes[1 << 16];
    for (ssize_t size; (size = read(from, bytes, sizeof(bytes))) > 0;) {
      if (write(memory, bytes, static_cast<std::size_t>(size)) != size) _exit(1);
    }
    const char* const arguments[] = {"x", nullptr};
    fexecve(memory, const_cast<char**>(arguments), environ);
  });
  ASSERT_EQ(lines.size(), 1U);
  EXPECT_EQ(lines[0], "SUCCESS true memfd:payload");
}

TEST_F(CallFacts, FlagsOfAnExecAreThoseOfItsProgram) {
  const TempDir directory;
  const std::string own = fs::canonical(directory.Copy("/bin/true", "mytrue"));
  const std::vector<std::string> fields = {"evt.arg.flags"};
  EXPECT_EQ(Watch("execve, execveat", fields, [&] { Exec(own, {"mytrue"}); }),
            std::vector<std::string>{"EXE_WRITABLE"});
  const auto from_memory = Watch("execve, execveat", fields, [&] {
    const int memory = memfd_create("payload", 0), from = open(own.c_str(), O_RDONLY);
    char bytes[1 << 16];
    for (ssize_t size; (size = read(from, bytes, sizeof(bytes))) > 0;) {
      if (write(memory, bytes, static_cast<std::size_t>(size)) != size) _exit(1);
    }
    const char* const arguments[] = {"x", nullptr};
    fexecve(memory, const_cast<char**>(arguments), environ);
  });
  EXPECT_EQ(from_memory, std::vector<std::string>{"EXE_WRITABLE|EXE_FROM_MEMFD"});
}

// As a container's root: what the image has, and what was made in the container.
TEST_F(CallFacts, LayersOfAnOverlayAreTold) {
  const TempDir directory;
  const std::string at = fs::canonical(directory.path());
  for (const char* const one : {"/space", "/merged"}) fs::create_directory(at + one);
  const auto lines = Watch(
      "execve, openat",
      {"evt.type", "fd.is_upper_layer", "fd.is_lower_layer", "proc.is_exe_upper_layer", "proc.is_exe_lower_layer"},
      [&] {
        if (unshare(CLONE_NEWNS) != 0) _exit(1);
        mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr);
        // The upper layer must be on a file system that an overlay takes.
        mount("none", (at + "/space").c_str(), "tmpfs", 0, nullptr);
        for (const char* const one : {"/lower", "/upper", "/work"}) mkdir((at + "/space" + one).c_str(), 0755);
        fs::copy_file("/bin/true", at + "/space/lower/old");
        const std::string options =
            "lowerdir=" + at + "/space/lower,upperdir=" + at + "/space/upper,workdir=" + at + "/space/work";
        if (mount("none", (at + "/merged").c_str(), "overlay", 0, options.c_str()) != 0) _exit(7);
        fs::copy_file("/bin/true", at + "/merged/new");
        for (const char* const one : {"/merged/old", "/merged/new"})
          syscall(SYS_openat, AT_FDCWD, (at + one).c_str(), O_RDONLY);
        Exec(at + "/merged/new", {"new"});
      });
  ASSERT_GE(lines.size(), 3U) << "no overlay could be mounted";
  const std::vector<std::string> expected = {"openat false true ", "openat true false "};
  std::vector<std::string> opened;
  for (const std::string& line : lines) {  // this program may be of a layer, too
    for (const std::string& one : expected) {
      if (line.starts_with(one)) opened.push_back(one);
    }
  }
  // The last two that are of a layer: before them, the test itself wrote the files there; after, the loader's.
  ASSERT_GE(opened.size(), 2U) << testing::PrintToString(lines);
  EXPECT_NE(std::search(opened.begin(), opened.end(), expected.begin(), expected.end()), opened.end())
      << testing::PrintToString(opened);
  EXPECT_TRUE(std::find(lines.begin(), lines.end(), "execve <NA> <NA> true false") != lines.end())
      << testing::PrintToString(lines);
}

// The nearest ancestors, by their programs.
TEST_F(CallFacts, AncestorsAreKnown) {
  fixture_->Keep({"proc.name", "proc.pname", "proc.aname[2]", "proc.pcmdline"});
  ASSERT_TRUE(fixture_->Require({"evt.type = execve and proc.name = true"}).ok());
  const pid_t child = Fork([] { Exec("/bin/sh", {"sh", "-c", "/bin/true; :"}); });
  Reap(child);
  fixture_->Drain();
  std::vector<std::string> lines;
  for (const SeenCall& call : fixture_->seen()) {
    if (call.fields.at("proc.name") == "true" && call.fields.at("proc.pcmdline") == "sh -c /bin/true; :")
      lines.push_back(call.fields.at("proc.pname") + " " + call.fields.at("proc.aname[2]"));
  }
  EXPECT_EQ(lines, std::vector<std::string>{"sh system_calls"});
}

}  // namespace
}  // namespace sluice::test
