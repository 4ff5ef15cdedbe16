// Every feature of KubeArmor's format, each with a case that blocks, one that audits, one that allows, and their
// negative twins: what is done is done by real programs and system calls.
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>

#include "tests/lsm/lsm_fixture.h"

namespace sluice::test {
namespace {

namespace fs = std::filesystem;

using Act = std::function<int()>;

// `DIR` in texts and acts is the test's directory.
struct Feature {
  std::string name;
  std::string section;  // "file", of which an allow list is closed by its posture
  std::string list;     // "matchPaths"
  std::string rule;     // "path: DIR/hit"
  Act blocked;          // with Block
  Act not_blocked;
  Act audited;  // with Audit
  Act not_audited;
  Act allowed;  // with Allow
  Act not_allowed;
};

std::string in_directory;  // of the test that runs

std::string At(const std::string& name) { return in_directory + "/" + name; }

std::string WithDirectory(std::string text) {
  for (std::size_t at = text.find("DIR"); at != std::string::npos; at = text.find("DIR"))
    text.replace(at, 3, in_directory);
  return text;
}

Act Execute(const std::string& name, const std::vector<std::string>& arguments = {}) {
  return [=] {
    std::vector<std::string> all = {At(name)};
    all.insert(all.end(), arguments.begin(), arguments.end());
    return ExecError(all);
  };
}

// By a program, which executes it in its own place.
Act ExecuteBy(const std::string& caller, const std::string& name) {
  return [=] { return ExecError({At(caller), At(name)}); };
}

// As a process that has a terminal, or has none.
Act WithTerminal(bool has_one, const Act& act) {
  return [=] {
    setsid();
    if (!has_one) return act();
    const int terminal = posix_openpt(O_RDWR | O_NOCTTY);
    if (terminal < 0 || grantpt(terminal) != 0 || unlockpt(terminal) != 0) return 91;
    const int own = open(ptsname(terminal), O_RDWR | O_NOCTTY);
    if (own < 0 || ioctl(own, TIOCSCTTY, 0) != 0) return 92;
    return act();
  };
}

Act As(uid_t uid, const Act& act) {
  return [=] {
    if (setresuid(uid, uid, uid) != 0) return 93;
    return act();
  };
}

Act Open(const std::string& name, int flags = O_RDONLY) {
  return [=] { return OpenError(At(name), flags); };
}

Act Create(int family, int type, int protocol = 0) {
  return [=] { return ErrorOf(socket(family, type, protocol)); };
}

// A copy of dd(1), which opens a file: 0, or 1 if it may not.
Act ReadBy(const std::string& program, const std::string& name) {
  return [=] { return ExecError({At(program), "if=" + At(name), "of=/dev/null", "count=1", "status=none"}); };
}

int ChangeRoot() { return ErrorOf(chroot("/")); }
int RaisePriority() { return ErrorOf(setpriority(PRIO_PROCESS, 0, -1)); }

// A feature that names what it is about.
Feature Named(const std::string& name, const std::string& section, const std::string& list, const std::string& rule,
              const Act& hit, const Act& twin) {
  return {name, section, list, rule, hit, twin, hit, twin, hit, twin};
}

// A feature that is a condition: with Block it blocks what does not keep it.
Feature Condition(const std::string& name, const std::string& section, const std::string& list, const std::string& rule,
                  const Act& keeps, const Act& breaks) {
  return {name, section, list, rule, breaks, keeps, keeps, breaks, keeps, breaks};
}

// A feature of the program that does it: an allow list is for that program only.
Feature FromSource(const std::string& name, const std::string& section, const std::string& list,
                   const std::string& rule, const Act& hit, const Act& by_other, const Act& other_by_same) {
  return {name, section, list, rule, hit, by_other, hit, by_other, hit, other_by_same};
}

const std::vector<Feature>& Features() {
  static const std::vector<Feature> features = {
      Named("process_path", "process", "matchPaths", "path: DIR/hit", Execute("hit"), Execute("twin")),
      Named("process_execname", "process", "matchPaths", "execname: hit", Execute("in/hit"), Execute("twin")),
      Named("process_directory", "process", "matchDirectories", "dir: DIR/in/", Execute("in/hit"),
            Execute("in/below/hit")),
      Named("process_recursive", "process", "matchDirectories", "dir: DIR/in/, recursive: true",
            Execute("in/below/hit"), Execute("hit")),
      Named("process_pattern", "process", "matchPatterns", "pattern: 'DIR/**/h?{t,x}'", Execute("in/below/hit"),
            Execute("in/twin")),
      FromSource("process_fromSource", "process", "matchPaths", "path: DIR/hit, fromSource: [{path: DIR/caller}]",
                 ExecuteBy("caller", "hit"), ExecuteBy("other", "hit"), ExecuteBy("caller", "twin")),
      FromSource("process_fromSource_directory", "process", "matchDirectories",
                 "dir: DIR/in/, fromSource: [{path: DIR/caller}]", ExecuteBy("caller", "in/hit"),
                 ExecuteBy("other", "in/hit"), ExecuteBy("caller", "twin")),
      Condition("process_ownerOnly", "process", "matchPaths", "path: DIR/hit, ownerOnly: true", Execute("hit"),
                As(65534, Execute("hit"))),
      Condition("process_allowedArgs", "process", "matchPaths", "path: DIR/hit, allowedArgs: [-a, -b]",
                Execute("hit", {"-b", "-a"}), Execute("hit", {"-b", "-c"})),
      Condition("process_pts", "process", "matchPaths", "path: DIR/hit, pts: true", WithTerminal(true, Execute("hit")),
                WithTerminal(false, Execute("hit"))),
      Named("file_path", "file", "matchPaths", "path: DIR/hit", Open("hit"), Open("twin")),
      Named("file_directory", "file", "matchDirectories", "dir: DIR/in/", Open("in/hit"), Open("in/below/hit")),
      Named("file_recursive", "file", "matchDirectories", "dir: DIR/in/, recursive: true", Open("in/below/hit"),
            Open("hit")),
      Named("file_pattern", "file", "matchPatterns", "pattern: 'DIR/*/[a-h]i?'", Open("in/hit"), Open("in/below/hit")),
      Named("file_symlink", "file", "matchPaths", "path: DIR/hit", Open("link"), Open("twin")),
      FromSource("file_fromSource", "file", "matchPaths", "path: DIR/text, fromSource: [{path: DIR/dd}]",
                 ReadBy("dd", "text"), ReadBy("other_dd", "text"), ReadBy("dd", "other_text")),
      Condition("file_readOnly", "file", "matchPaths", "path: DIR/text, readOnly: true", Open("text"),
                Open("text", O_WRONLY)),
      Condition("file_ownerOnly", "file", "matchPaths", "path: DIR/text, ownerOnly: true", Open("text"),
                As(65534, Open("text"))),
      Condition("file_pts", "file", "matchPaths", "path: DIR/text, pts: false", WithTerminal(false, Open("text")),
                WithTerminal(true, Open("text"))),
      Named("network_tcp", "network", "matchProtocols", "protocol: TCP", Create(AF_INET, SOCK_STREAM),
            Create(AF_INET, SOCK_DGRAM)),
      Named("network_udp", "network", "matchProtocols", "protocol: udp", Create(AF_INET6, SOCK_DGRAM),
            Create(AF_INET6, SOCK_STREAM)),
      Named("network_icmp", "network", "matchProtocols", "protocol: icmp", Create(AF_INET, SOCK_RAW, 1),
            Create(AF_INET, SOCK_RAW, 17)),
      Named("network_raw", "network", "matchProtocols", "protocol: raw", Create(AF_INET, SOCK_RAW, 17),
            Create(AF_INET, SOCK_STREAM)),
      Named("network_stream", "network", "matchProtocols", "protocol: stream", Create(AF_INET6, SOCK_STREAM),
            Create(AF_INET6, SOCK_DGRAM)),
      Condition("network_pts", "network", "matchProtocols", "protocol: all, pts: true",
                WithTerminal(true, Create(AF_INET, SOCK_STREAM)), WithTerminal(false, Create(AF_INET, SOCK_STREAM))),
      FromSource("network_fromSource", "network", "matchProtocols", "protocol: raw, fromSource: [{path: PROGRAM}]",
                 Create(AF_INET, SOCK_RAW, 17), ExecuteBy("caller", "hit"), Create(AF_INET, SOCK_STREAM)),
      Named("capability", "capabilities", "matchCapabilities", "capability: sys_chroot", ChangeRoot, RaisePriority),
      FromSource("capability_fromSource", "capabilities", "matchCapabilities",
                 "capability: sys_chroot, fromSource: [{path: PROGRAM}]", ChangeRoot, ExecuteBy("caller", "hit"),
                 RaisePriority),
  };
  return features;
}

class LsmFeature : public LsmTest, public testing::WithParamInterface<Feature> {
 protected:
  void SetUp() override {
    LsmTest::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    in_directory = directory().path();
    fs::permissions(in_directory, fs::perms(0755));
    fs::create_directories(At("in/below"));
    for (const char* name : {"hit", "twin", "in/hit", "in/twin", "in/below/hit"})
      directory().Copy("/usr/bin/true", name);
    for (const char* name : {"caller", "other"}) directory().Copy("/usr/bin/env", name);
    for (const char* name : {"dd", "other_dd"}) directory().Copy("/usr/bin/dd", name);
    for (const char* name : {"text", "other_text"}) directory().Write(name, "text\n", 0666);
    fs::create_symlink(At("hit"), At("link"));
  }

  std::string Spec(const std::string& action) const {
    std::string rule = WithDirectory(GetParam().rule);
    const std::size_t own = rule.find("PROGRAM");
    if (own != std::string::npos) rule.replace(own, 7, fs::read_symlink("/proc/self/exe").string());
    std::string spec =
        fmt::format("{{{}: {{{}: [{{{}}}]}}, action: {}}}", GetParam().section, GetParam().list, rule, action);
    return spec;
  }
  // What an allow list of files needs beside the rule: what programs load.
  std::vector<std::string> Specs(const std::string& action) const {
    std::vector<std::string> specs = {Spec(action)};
    if (action == "Allow" && GetParam().section == "file") {
      specs.push_back(
          "{file: {matchDirectories: [{dir: /usr/lib/, recursive: true}, {dir: /lib64/}, {dir: /etc/}, "
          "{dir: /dev/, recursive: true}]}, action: Allow}");
    }
    return specs;
  }
  std::string Field() const { return fmt::format("spec.{}.{}[0]", GetParam().section, GetParam().list); }
  // How often the rule decided so, among the records since the last call.
  int Times(sl_lsm_verdict verdict, sl_lsm_reason reason = SL_LSM_BY_RULE) {
    int times = 0;
    for (const LsmRecord& record : fixture().Take()) {
      const auto rule = fixture().store().Describe(record.event.generation, record.event.rule);
      if (record.event.verdict == verdict && record.event.reason == reason && rule && rule->rule->field == Field())
        ++times;
    }
    return times;
  }
  // dd says that it may not open a file by status 1; others by the error.
  static bool IsRefused(int result) { return result == EPERM || result == 126; }
};

TEST_P(LsmFeature, Blocks) {
  EXPECT_EQ(Run(GetParam().blocked), 0) << "no policy yet";
  ASSERT_TRUE(Apply(Specs("Block")).ok());
  EXPECT_TRUE(IsRefused(Run(GetParam().blocked)));
  EXPECT_GE(Times(SL_LSM_BLOCK), 1);
  EXPECT_EQ(Run(GetParam().not_blocked), 0);
  EXPECT_EQ(Times(SL_LSM_BLOCK), 0);
}

TEST_P(LsmFeature, Audits) {
  ASSERT_TRUE(Apply(Specs("Audit")).ok());
  EXPECT_EQ(Run(GetParam().audited), 0);
  EXPECT_EQ(Times(SL_LSM_AUDIT), 1);
  EXPECT_EQ(Run(GetParam().not_audited), 0);
  EXPECT_EQ(Times(SL_LSM_AUDIT), 0);
}

TEST_P(LsmFeature, Allows) {
  ASSERT_TRUE(Apply(Specs("Allow"), kClosed).ok());
  fixture().Take();
  EXPECT_EQ(Run(GetParam().allowed), 0) << Seen();
  EXPECT_EQ(Seen(), "");
  EXPECT_TRUE(IsRefused(Run(GetParam().not_allowed)));
  EXPECT_GE(Times(SL_LSM_BLOCK, SL_LSM_BY_POSTURE), 1);
  ASSERT_TRUE(Apply(Specs("Allow")).ok());
  EXPECT_EQ(Run(GetParam().not_allowed), 0) << "the default posture audits";
  EXPECT_GE(Times(SL_LSM_AUDIT, SL_LSM_BY_POSTURE), 1);
}

INSTANTIATE_TEST_SUITE_P(All, LsmFeature, testing::ValuesIn(Features()),
                         [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace sluice::test
