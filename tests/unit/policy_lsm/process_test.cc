// The section process: each feature blocks, audits and allows what it is about, and nothing else.
#include "tests/unit/policy_lsm/policies.h"

namespace sluice::policy::lsm {
namespace {

constexpr std::uint32_t kUser = 1000;
constexpr char kFirstPath[] = "a spec.process.matchPaths[0]";

std::string Process(const std::string& rules, const std::string& action = "Block") {
  return "{process: {" + rules + "}, action: " + action + "}";
}

Execution Exec(const std::string& path) { return {.path = path}; }

TEST(LsmProcess, PathsAreBlockedAuditedAndAllowed) {
  const std::string rule = "matchPaths: [{path: /usr/bin/curl}]";
  const Policies block({Process(rule)}), audit({Process(rule, "Audit")}), allow({Process(rule, "Allow")});
  EXPECT_EQ(block.On(Exec("/usr/bin/curl")), "Block: " + std::string(kFirstPath));
  EXPECT_EQ(block.On(Exec("/usr/bin/curl2")), "Allow");
  EXPECT_EQ(block.On(Exec("/opt/usr/bin/curl")), "Allow");
  EXPECT_EQ(block.On(Opening{.path = "/usr/bin/curl"}), "Allow");  // another section
  EXPECT_EQ(audit.On(Exec("/usr/bin/curl")), "Audit: " + std::string(kFirstPath));
  EXPECT_EQ(audit.OnClosed(Exec("/usr/bin/wget")), "Allow");
  EXPECT_EQ(allow.On(Exec("/usr/bin/curl")), "Allow: " + std::string(kFirstPath));
  EXPECT_EQ(allow.On(Exec("/usr/bin/wget")), "Audit: posture " + std::string(kFirstPath));
  EXPECT_EQ(allow.OnClosed(Exec("/usr/bin/wget")), "Block: posture " + std::string(kFirstPath));
  EXPECT_EQ(allow.OnClosed(Opening{.path = "/usr/bin/wget"}), "Allow");
}

TEST(LsmProcess, PathsMeanTheirMergedDirectories) {
  const Policies block({Process("matchPaths: [{path: /bin/ls}, {path: /usr/bin/cat}]")});
  EXPECT_EQ(block.On(Exec("/usr/bin/ls")), "Block: " + std::string(kFirstPath));
  EXPECT_EQ(block.On(Exec("/usr/sbin/ls")), "Allow");
  EXPECT_EQ(block.On(Exec("/bin/cat")), "Allow");
  const Policies allow({Process("matchDirectories: [{dir: /bin/}]", "Allow")});
  EXPECT_EQ(allow.OnClosed(Exec("/usr/bin/ls")), "Allow: a spec.process.matchDirectories[0]");
  EXPECT_EQ(allow.OnClosed(Exec("/usr/local/bin/ls")), "Block: posture a spec.process.matchDirectories[0]");
}

TEST(LsmProcess, NamesAreTheLastPartOfThePath) {
  const Policies block({Process("matchPaths: [{execname: apt}]")});
  EXPECT_EQ(block.On(Exec("/usr/bin/apt")), "Block: " + std::string(kFirstPath));
  EXPECT_EQ(block.On(Exec("/tmp/apt")), "Block: " + std::string(kFirstPath));
  EXPECT_EQ(block.On(Exec("/usr/bin/apt-get")), "Allow");
  EXPECT_EQ(block.On(Exec("/apt/get")), "Allow");
  EXPECT_EQ(Policies({Process("matchPaths: [{execname: apt}]", "Audit")}).On(Exec("/a/apt")),
            "Audit: " + std::string(kFirstPath));
  EXPECT_EQ(Policies({Process("matchPaths: [{execname: apt}]", "Allow")}).OnClosed(Exec("/a/apt")),
            "Allow: " + std::string(kFirstPath));
}

TEST(LsmProcess, DirectoriesHaveWhatIsInThemOrBelow) {
  const std::string in = "a spec.process.matchDirectories[0]", below = "a spec.process.matchDirectories[1]";
  for (const ActionInfo& action : kActions) {
    const Policies policies(
        {Process("matchDirectories: [{dir: /opt/}, {dir: /tmp/, recursive: true}]", std::string(action.name))});
    const std::string does = std::string(action.name) + ": ";
    EXPECT_EQ(policies.OnClosed(Exec("/opt/a")), does + in);
    EXPECT_EQ(policies.OnClosed(Exec("/tmp/a/b")), does + below);
    const std::string other = action.action == Action::kAllow ? "Block: posture " + in : "Allow";
    EXPECT_EQ(policies.OnClosed(Exec("/opt/a/b")), other);
    EXPECT_EQ(policies.OnClosed(Exec("/tmpx/a")), other);
  }
}

TEST(LsmProcess, PatternsAreEnforced) {
  const std::string first = "a spec.process.matchPatterns[0]";
  for (const ActionInfo& action : kActions) {
    const Policies policies({Process("matchPatterns: [{pattern: '/**/nc'}]", std::string(action.name))});
    EXPECT_EQ(policies.OnClosed(Exec("/usr/bin/nc")), std::string(action.name) + ": " + first);
    const std::string other = action.action == Action::kAllow ? "Block: posture " + first : "Allow";
    EXPECT_EQ(policies.OnClosed(Exec("/usr/bin/ncat")), other);
  }
}

TEST(LsmProcess, SourcesAreTheProgramsThatExecute) {
  const std::string rule = "matchPaths: [{path: /bin/ls, fromSource: [{path: /bin/dash}, {path: /bin/bash}]}]";
  const Subject dash{.program = "/usr/bin/dash"}, bash{.program = "/bin/bash"}, python{.program = "/usr/bin/python3"};
  const Policies block({Process(rule)}), audit({Process(rule, "Audit")}), allow({Process(rule, "Allow")});
  EXPECT_EQ(block.On(Exec("/bin/ls"), dash), "Block: " + std::string(kFirstPath));
  EXPECT_EQ(block.On(Exec("/bin/ls"), bash), "Block: " + std::string(kFirstPath));
  EXPECT_EQ(block.On(Exec("/bin/ls"), python), "Allow");
  EXPECT_EQ(block.On(Exec("/bin/cat"), dash), "Allow");
  EXPECT_EQ(audit.On(Exec("/bin/ls"), dash), "Audit: " + std::string(kFirstPath));
  EXPECT_EQ(audit.On(Exec("/bin/ls"), python), "Allow");
  // An allow list for these programs only.
  EXPECT_EQ(allow.OnClosed(Exec("/bin/ls"), dash), "Allow: " + std::string(kFirstPath));
  EXPECT_EQ(allow.OnClosed(Exec("/bin/cat"), dash), "Block: posture " + std::string(kFirstPath));
  EXPECT_EQ(allow.OnClosed(Exec("/bin/cat"), python), "Allow");
}

TEST(LsmProcess, OwnersMayBeTheOnlyOnes) {
  const std::string rule = "matchPaths: [{path: /home/u/hello, ownerOnly: true}]";
  const Execution hello{.path = "/home/u/hello", .owner = kUser};
  const Subject owner{.uid = kUser}, root{.uid = 0};
  const Policies block({Process(rule)}), audit({Process(rule, "Audit")}), allow({Process(rule, "Allow")});
  EXPECT_EQ(block.On(hello, root), "Block: " + std::string(kFirstPath));
  EXPECT_EQ(block.On(hello, owner), "Allow");
  EXPECT_EQ(audit.On(hello, owner), "Audit: " + std::string(kFirstPath));
  EXPECT_EQ(audit.On(hello, root), "Allow");
  EXPECT_EQ(allow.OnClosed(hello, owner), "Allow: " + std::string(kFirstPath));
  EXPECT_EQ(allow.OnClosed(hello, root), "Block: posture " + std::string(kFirstPath));
  EXPECT_EQ(Policies({Process("matchPaths: [{path: /home/u/hello, ownerOnly: false}]")}).On(hello, owner),
            "Block: " + std::string(kFirstPath));
}

TEST(LsmProcess, ArgumentsMayBeLimited) {
  const std::string rule = "matchPaths: [{path: /usr/bin/python3, allowedArgs: [-m, random]}]";
  const auto python = [](std::vector<std::string> args) {
    return Execution{.path = "/usr/bin/python3", .args = std::move(args)};
  };
  const Policies block({Process(rule)}), allow({Process(rule, "Allow")}), audit({Process(rule, "Audit")});
  EXPECT_EQ(block.On(python({"-m", "random"})), "Allow");
  EXPECT_EQ(block.On(python({"random"})), "Allow");
  EXPECT_EQ(block.On(python({"-m", "pydoc"})), "Block: " + std::string(kFirstPath));
  EXPECT_EQ(block.On(python({"-m", "random "})), "Block: " + std::string(kFirstPath));
  EXPECT_EQ(block.On(python({})), "Block: " + std::string(kFirstPath));
  EXPECT_EQ(allow.OnClosed(python({"-m", "random"})), "Allow: " + std::string(kFirstPath));
  EXPECT_EQ(allow.OnClosed(python({"-m", "pydoc"})), "Block: posture " + std::string(kFirstPath));
  EXPECT_EQ(audit.On(python({"-m"})), "Audit: " + std::string(kFirstPath));
  EXPECT_EQ(audit.On(python({"-c"})), "Allow");
}

TEST(LsmProcess, TerminalsMayBeACondition) {
  const auto rule = [](const std::string& pts) {
    return Process("matchPaths: [{path: /bin/sleep, pts: " + pts + "}]");
  };
  const Subject person{.terminal = true}, service{.terminal = false};
  EXPECT_EQ(Policies({rule("false")}).On(Exec("/bin/sleep"), person), "Block: " + std::string(kFirstPath));
  EXPECT_EQ(Policies({rule("false")}).On(Exec("/bin/sleep"), service), "Allow");
  EXPECT_EQ(Policies({rule("true")}).On(Exec("/bin/sleep"), service), "Block: " + std::string(kFirstPath));
  EXPECT_EQ(Policies({rule("true")}).On(Exec("/bin/sleep"), person), "Allow");
  const Policies audit({Process("matchPaths: [{path: /bin/sleep, pts: true}]", "Audit")});
  EXPECT_EQ(audit.On(Exec("/bin/sleep"), person), "Audit: " + std::string(kFirstPath));
  EXPECT_EQ(audit.On(Exec("/bin/sleep"), service), "Allow");
}

TEST(LsmProcess, RulesAreChecked) {
  const std::string path = "spec.process.matchPaths[0]";
  const auto process = [](const std::string& rules) { return Process(rules); };
  Check({
      {process("matchPaths: [{path: /bin/ls}]"), process("matchPaths: [{path: bin/ls}]"),
       path + ".path: \"bin/ls\" is not absolute: it must begin with \"/\""},
      {process("matchPaths: [{path: /a b}]"), process("matchPaths: [{path: /bin/../ls}]"),
       path + ".path: \"/bin/../ls\" has a component that is empty, \".\" or \"..\": the kernel knows no such path"},
      {process("matchDirectories: [{dir: /}]"), process("matchPaths: [{path: //bin/ls}]"),
       path + ".path: \"//bin/ls\" has a component that is empty, \".\" or \"..\": the kernel knows no such path"},
      {process("matchDirectories: [{dir: /bin/}]"), process("matchPaths: [{path: /bin/}]"),
       path + ".path: \"/bin/\" is a directory: write it as dir, in matchDirectories"},
      {process("matchPatterns: [{pattern: '/bin/*'}]"), process("matchPaths: [{path: '/bin/*'}]"),
       path + ".path: \"/bin/*\" is compared as it is: write it as a pattern, in matchPatterns"},
      {process("matchPaths: [{path: '/usr/bin/['}]"), process("matchPaths: [{path: ''}]"), path + ".path: is empty"},
      {process("matchPaths: [{path: /" + std::string(4094, 'a') + "}]"),
       process("matchPaths: [{path: /" + std::string(4095, 'a') + "}]"),
       path + ".path: 4096 bytes: at most 4095 are possible"},
      {process("matchPaths: [{execname: ls}]"), process("matchPaths: [{execname: bin/ls}]"),
       path + ".execname: \"bin/ls\" has a \"/\": it is a program's name in any directory. Write path instead"},
      {process("matchPaths: [{execname: ls}, {path: /bin/ls}]"), process("matchPaths: [{execname: ls, path: /bin/ls}]"),
       path + ".execname: beside path: write two rules"},
      {process("matchPaths: [{path: /bin/ls}]"), process("matchPaths: [{ownerOnly: true}]"), path + ".path: missing"},
      {process("matchDirectories: [{dir: /bin/, recursive: true}]"), process("matchDirectories: [{dir: /bin}]"),
       "spec.process.matchDirectories[0].dir: must end with \"/\": write \"/bin/\""},
      {process("matchDirectories: [{dir: /bin/}]"), process("matchDirectories: [{dir: /bin/, recursive: yes please}]"),
       "spec.process.matchDirectories[0].recursive: must be true or false, got \"yes please\""},
      {process("matchPatterns: [{pattern: '**/a'}]"), process("matchPatterns: [{pattern: a}]"),
       "spec.process.matchPatterns[0].pattern: \"a\" matches no path: it must begin with \"/\" or \"**\""},
      {process("matchPatterns: [{pattern: '/[a-z]'}]"), process("matchPatterns: [{pattern: '/[a-z'}]"),
       "spec.process.matchPatterns[0].pattern: \"/[a-z\": \"[\" has no \"]\" after it"},
      {process("matchPaths: [{path: /a, fromSource: [{path: /b}]}]"),
       process("matchPaths: [{path: /a, fromSource: [{dir: /b/}]}]"),
       path + ".fromSource[0].dir: unknown field: known are path"},
      {process("matchPaths: [{path: /a, fromSource: [{path: /b}]}]"),
       process("matchPaths: [{path: /a, fromSource: [{}]}]"), path + ".fromSource[0].path: missing"},
      {process("matchPaths: [{path: /a, allowedArgs: [" + std::string(104, 'x') + "]}]"),
       process("matchPaths: [{path: /a, allowedArgs: [" + std::string(105, 'x') + "]}]"),
       path + ".allowedArgs[0]: 105 bytes: at most 104 are possible"},
      {process("matchPaths: [{path: /a}]"), process("matchPaths: [{path: /a, readOnly: true}]"),
       path + ".readOnly: unknown field: known are path, execname, allowedArgs, ownerOnly, pts, fromSource, severity, "
              "tags, message, action"},
      {process("matchPaths: [{path: /a}]"), process("matchPaths: [{path: /a}], matchPath: []"),
       "spec.process.matchPath: unknown field: did you mean matchPaths?"},
      {process("matchPaths: [{path: /a}]"), process("severity: 3"), "spec.process: has no rule, and does nothing"},
  });
  std::string sources = "{path: /s}", args = "a";
  for (int i = 0; i < 64; ++i) sources += ", {path: /s}";
  for (int i = 0; i < 20; ++i) args += ", a";
  EXPECT_EQ(ErrorOf(process("matchPaths: [{path: /a, fromSource: [" + sources + "]}]")),
            path + ".fromSource: 65 entries: at most 64 are possible");
  EXPECT_EQ(ErrorOf(process("matchPaths: [{path: /a, allowedArgs: [" + args + "]}]")),
            path + ".allowedArgs: 21 entries: at most 20 are possible");
}

}  // namespace
}  // namespace sluice::policy::lsm
