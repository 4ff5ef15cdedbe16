// Capabilities, system calls and presets.
#include "base/capability.h"
#include "tests/unit/policy_lsm/policies.h"

namespace sluice::policy::lsm {
namespace {

constexpr std::uint32_t kNetRaw = 13;
constexpr std::uint32_t kChown = 0;

std::string Capabilities(const std::string& rule, const std::string& action = "Block") {
  return "{capabilities: {matchCapabilities: [{" + rule + "}]}, action: " + action + "}";
}

std::string Syscalls(const std::string& rules) { return "{syscalls: {" + rules + "}, action: Audit}"; }

std::string PresetOf(const std::string& name, const std::string& action) {
  return "{presets: [{name: " + name + ", action: " + action + "}]}";
}

TEST(LsmCapabilities, AreBlockedAuditedAndAllowed) {
  const std::string at = "a spec.capabilities.matchCapabilities[0]";
  for (const ActionInfo& action : kActions) {
    const Policies policies({Capabilities("capability: net_raw", std::string(action.name))});
    EXPECT_EQ(policies.OnClosed(CapabilityUse{kNetRaw}), std::string(action.name) + ": " + at);
    const std::string other = action.action == Action::kAllow ? "Block: posture " + at : "Allow";
    EXPECT_EQ(policies.OnClosed(CapabilityUse{kChown}), other);
  }
  const Policies block({Capabilities("capability: net_raw, fromSource: [{path: /usr/sbin/arping}]")});
  EXPECT_EQ(block.On(CapabilityUse{kNetRaw}, {.program = "/usr/sbin/arping"}), "Block: " + at);
  EXPECT_EQ(block.On(CapabilityUse{kNetRaw}, {.program = "/usr/bin/ping"}), "Allow");
}

TEST(LsmCapabilities, HaveTheKernelsNames) {
  for (std::uint32_t number = 0; number <= kLastCapability; ++number) {
    std::string name = CapabilityName(number).substr(4);
    for (char& c : name) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    const auto policy = PolicyOf(Capabilities("capability: " + name));
    ASSERT_NE(policy, nullptr) << name;
    EXPECT_EQ(policy->capabilities[0].capability, number);
  }
  const std::string at = "spec.capabilities.matchCapabilities[0].capability: ";
  Check(
      {{Capabilities("capability: net_raw"), Capabilities("capability: net_row"),
        at + "there is no capability \"net_row\": did you mean net_raw?"},
       {Capabilities("capability: net_raw"), Capabilities("capability: CAP_NET_RAW"),
        at + "there is no capability \"CAP_NET_RAW\": did you mean net_raw?"},
       {Capabilities("capability: sys_admin"), Capabilities("capability: everything"),
        at + "there is no capability \"everything\": write it as net_raw"},
       {Capabilities("capability: sys_admin"), Capabilities("pts: true"), at.substr(0, at.size() - 2) + ": missing"}});
}

TEST(LsmSyscalls, AreAudited) {
  const std::string at = "a spec.syscalls.matchSyscalls[0]";
  const Policies audit({Syscalls("matchSyscalls: [{syscall: [unlink, unlinkat]}]")});
  EXPECT_EQ(audit.On(SystemCallUse{.name = "unlinkat"}), "Audit: " + at);
  EXPECT_EQ(audit.OnClosed(SystemCallUse{.name = "unlink", .path = "/home/a"}), "Audit: " + at);
  EXPECT_EQ(audit.OnClosed(SystemCallUse{.name = "rmdir"}), "Allow");
  const Policies source(
      {Syscalls("matchSyscalls: [{syscall: [unlink], fromSource: [{dir: /usr/, recursive: true}, {path: /opt/a}]}]")});
  EXPECT_EQ(source.On(SystemCallUse{.name = "unlink"}, {.program = "/usr/bin/rm"}), "Audit: " + at);
  EXPECT_EQ(source.On(SystemCallUse{.name = "unlink"}, {.program = "/opt/a"}), "Audit: " + at);
  EXPECT_EQ(source.On(SystemCallUse{.name = "unlink"}, {.program = "/opt/b"}), "Allow");
  const Policies flat({Syscalls("matchSyscalls: [{syscall: [unlink], fromSource: [{dir: /usr/}]}]")});
  EXPECT_EQ(flat.On(SystemCallUse{.name = "unlink"}, {.program = "/usr/rm"}), "Audit: " + at);
  EXPECT_EQ(flat.On(SystemCallUse{.name = "unlink"}, {.program = "/usr/bin/rm"}), "Allow");
}

TEST(LsmSyscalls, MayBeOfPaths) {
  const std::string rules =
      "matchPaths: [{syscall: [unlink], path: /etc/a}, {syscall: [unlink], path: /home/, recursive: true}, {syscall: "
      "[rmdir], path: /var/}]";
  const Policies audit({Syscalls(rules)});
  EXPECT_EQ(audit.On(SystemCallUse{.name = "unlink", .path = "/etc/a"}), "Audit: a spec.syscalls.matchPaths[0]");
  EXPECT_EQ(audit.On(SystemCallUse{.name = "unlink", .path = "/home/a/b"}), "Audit: a spec.syscalls.matchPaths[1]");
  EXPECT_EQ(audit.On(SystemCallUse{.name = "rmdir", .path = "/var/a"}), "Audit: a spec.syscalls.matchPaths[2]");
  EXPECT_EQ(audit.On(SystemCallUse{.name = "rmdir", .path = "/var/a/b"}), "Allow");
  EXPECT_EQ(audit.On(SystemCallUse{.name = "rmdir", .path = "/home/a"}), "Allow");
  EXPECT_EQ(audit.On(SystemCallUse{.name = "unlink", .path = "/etc/b"}), "Allow");
  EXPECT_EQ(audit.On(SystemCallUse{.name = "unlink"}), "Allow");
}

TEST(LsmSyscalls, RulesAreChecked) {
  const std::string calls = "spec.syscalls.matchSyscalls[0]", paths = "spec.syscalls.matchPaths[0]";
  Check({
      {Syscalls("matchSyscalls: [{syscall: [unlink]}]"), Syscalls("matchSyscalls: [{syscall: [unlnk]}]"),
       calls + ".syscall[0]: there is no system call \"unlnk\": did you mean unlink?"},
      {Syscalls("matchSyscalls: [{syscall: [unlink]}]"), Syscalls("matchSyscalls: [{syscall: []}]"),
       calls + ".syscall: missing"},
      {Syscalls("matchSyscalls: [{syscall: [unlink]}]"), Syscalls("matchSyscalls: [{syscall: unlink}]"),
       calls + ".syscall: must be a list, got \"unlink\""},
      {Syscalls("matchPaths: [{syscall: [unlink], path: /a/}]"), Syscalls("matchPaths: [{syscall: [unlink]}]"),
       paths + ".path: missing"},
      {Syscalls("matchPaths: [{syscall: [unlink], path: /a/, recursive: true}]"),
       Syscalls("matchPaths: [{syscall: [unlink], path: /a, recursive: true}]"),
       paths + ".recursive: \"/a\" is no directory: it must end with \"/\""},
      {Syscalls("matchSyscalls: [{syscall: [unlink], fromSource: [{dir: /a/, recursive: true}]}]"),
       Syscalls("matchSyscalls: [{syscall: [unlink], fromSource: [{path: /a, recursive: true}]}]"),
       calls + ".fromSource[0].recursive: is for dir"},
      {Syscalls("matchSyscalls: [{syscall: [unlink], fromSource: [{dir: /a/}, {path: /a}]}]"),
       Syscalls("matchSyscalls: [{syscall: [unlink], fromSource: [{dir: /a/, path: /a}]}]"),
       calls + ".fromSource[0].dir: beside path: write two entries"},
      {Syscalls("matchSyscalls: [{syscall: [unlink], action: Audit}]"),
       Syscalls("matchSyscalls: [{syscall: [unlink], action: Block}]"),
       calls + ".action: system calls can only be audited: write Audit"},
      {Syscalls("matchSyscalls: [{syscall: [unlink]}], action: Audit"),
       Syscalls("matchSyscalls: [{syscall: [unlink]}], action: Allow"),
       "spec.syscalls.action: system calls can only be audited: write Audit"},
  });
  EXPECT_EQ(WarningOf(Syscalls("matchSyscalls: [{syscall: [unlink, unlink]}]")),
            calls + ".syscall: has a system call twice");
}

TEST(LsmSyscalls, AreNotForThePolicysAction) {
  const std::string section = "syscalls: {matchSyscalls: [{syscall: [unlink]}]}";
  EXPECT_EQ(WarningOf("{" + section + ", action: Block}"),
            "spec.syscalls: system calls are only audited: action Block of spec is not for them");
  EXPECT_EQ(WarningOf("{" + section + "}"), "no warning");
  EXPECT_EQ(WarningOf("{" + section + ", action: Audit}"), "no warning");
  EXPECT_EQ(WarningOf("{syscalls: {matchSyscalls: [{syscall: [unlink]}], action: Audit}, action: Block}"),
            "no warning");
  EXPECT_EQ(PolicyOf("{" + section + "}")->syscalls[0].rule.effect.action, Action::kAudit);
}

TEST(LsmPresets, AreBlockedAndAudited) {
  struct PresetCase {
    Preset preset;
    Operation matches, other;
  };
  const std::vector<PresetCase> cases = {
      {Preset::kProtectEnv, Opening{.path = "/proc/7/environ", .of_other_process = true},
       Opening{.path = "/proc/7/environ"}},
      {Preset::kProtectEnv, Opening{.path = "/proc/7/environ", .of_other_process = true},
       Opening{.path = "/proc/7/maps", .of_other_process = true}},
      {Preset::kProtectProc, Opening{.path = "/proc/7/maps", .of_other_process = true},
       Opening{.path = "/proc/7/maps"}},
      {Preset::kFilelessExec, Execution{.path = "/memfd:a", .in_memory = true}, Execution{.path = "/bin/ls"}},
      {Preset::kExec, Execution{.path = "/bin/sh", .from_outside = true}, Execution{.path = "/bin/sh"}},
      {Preset::kAnonMapExec, CodeMapping{}, Execution{.path = "/bin/sh"}},
  };
  for (const PresetCase& one : cases) {
    for (const char* action : {"Block", "Audit"}) {
      const Policies policies({PresetOf(std::string(InfoOf(one.preset).name), action)});
      EXPECT_EQ(policies.On(one.matches), fmt::format("{}: a spec.presets[0]", action)) << InfoOf(one.preset).name;
      EXPECT_EQ(policies.On(one.other), "Allow") << InfoOf(one.preset).name;
    }
  }
}

TEST(LsmPresets, AreNotOpenedByRules) {
  const std::string allow = "{process: {matchPaths: [{path: /bin/sh}]}, action: Allow}";
  const Execution exec{.path = "/bin/sh", .from_outside = true};
  EXPECT_EQ(Policies({PresetOf("exec", "Block"), allow}).On(exec), "Block: a spec.presets[0]");
  EXPECT_EQ(Policies({PresetOf("exec", "Audit"), allow}).On(exec), "Audit: a spec.presets[0]");
  EXPECT_EQ(Policies({PresetOf("exec", "Audit"), "{process: {matchPaths: [{path: /bin/sh}]}}"}).On(exec),
            "Block: b spec.process.matchPaths[0]");
}

TEST(LsmPresets, AreChecked) {
  Check({
      {PresetOf("exec", "Audit"), PresetOf("exce", "Audit"),
       "spec.presets[0].name: unknown preset \"exce\": did you mean exec?"},
      {PresetOf("exec", "Block"), PresetOf("exec", "Allow"),
       "spec.presets[0].action: a preset can be audited or blocked: write action Audit or Block"},
      {"{presets: [{name: exec}]}", "{presets: [{name: exec}], action: Allow}",
       "spec.presets[0]: a preset can be audited or blocked: write action Audit or Block"},
      {"{presets: [{name: exec}]}", "{presets: [{action: Block}]}", "spec.presets[0].name: missing"},
      {"{presets: [{name: exec}]}", "{presets: [{name: exec, severity: 3}]}",
       "spec.presets[0].severity: unknown field: known are name, action"},
  });
  EXPECT_EQ(WarningOf("{presets: [{name: exec}, {name: exec}]}"),
            "spec.presets[1]: says what spec.presets[0] on line 1 says: remove one");
}

}  // namespace
}  // namespace sluice::policy::lsm
