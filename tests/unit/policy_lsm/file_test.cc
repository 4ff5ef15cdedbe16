// The section file: each feature blocks, audits and allows what it is about, and nothing else.
#include "tests/unit/policy_lsm/policies.h"

namespace sluice::policy::lsm {
namespace {

constexpr std::uint32_t kOwner = 1000;

std::string File(const std::string& rules, const std::string& action = "Block") {
  return "{file: {" + rules + "}, action: " + action + "}";
}

Opening Read(const std::string& path, std::uint32_t owner = 0) { return {.path = path, .owner = owner}; }
Opening Write(const std::string& path, std::uint32_t owner = 0) {
  return {.path = path, .owner = owner, .writes = true};
}

// A rule for /etc/shadow, written as a path, a directory and a pattern.
const std::vector<std::pair<std::string, std::string>>& Forms() {
  static const std::vector<std::pair<std::string, std::string>> kForms = {{"matchPaths", "path: /etc/shadow"},
                                                                          {"matchDirectories", "dir: /etc/"},
                                                                          {"matchPatterns", "pattern: '/etc/sh*'"}};
  return kForms;
}

TEST(LsmFile, AllFormsAreBlockedAuditedAndAllowed) {
  for (const auto& [list, target] : Forms()) {
    const std::string rule = list + ": [{" + target + "}]", at = "a spec.file." + list + "[0]";
    for (const ActionInfo& action : kActions) {
      const Policies policies({File(rule, std::string(action.name))});
      const std::string other = action.action == Action::kAllow ? "Block: posture " + at : "Allow";
      EXPECT_EQ(policies.OnClosed(Read("/etc/shadow")), std::string(action.name) + ": " + at) << rule;
      EXPECT_EQ(policies.OnClosed(Write("/etc/shadow")), std::string(action.name) + ": " + at) << rule;
      EXPECT_EQ(policies.OnClosed(Read("/var/shadow")), other) << rule;
      EXPECT_EQ(policies.OnClosed(Execution{.path = "/etc/shadow"}), "Allow") << rule;
    }
  }
}

TEST(LsmFile, DirectoriesAreFilesThatEndWithASlash) {
  const Policies block(
      {File("matchDirectories: [{dir: /etc/}], matchPaths: [{path: /srv/a}], matchPatterns: [{pattern: "
            "'/**/.git/'}]")});
  EXPECT_EQ(block.On(Read("/etc/")), "Block: a spec.file.matchDirectories[0]");
  EXPECT_EQ(block.On(Read("/etc/ssl/")), "Block: a spec.file.matchDirectories[0]");  // a file of it, too
  EXPECT_EQ(block.On(Read("/etc/ssl/a")), "Allow");
  EXPECT_EQ(block.On(Read("/srv/a/")), "Block: a spec.file.matchPaths[0]");
  EXPECT_EQ(block.On(Read("/srv/.git/")), "Block: a spec.file.matchPatterns[0]");
  EXPECT_EQ(block.On(Read("/srv/.git")), "Allow");
}

TEST(LsmFile, ReadOnlyLetsNobodyWrite) {
  for (const auto& [list, target] : Forms()) {
    const std::string rule = list + ": [{" + target + ", readOnly: true}]", at = "a spec.file." + list + "[0]";
    const Policies block({File(rule)}), audit({File(rule, "Audit")}), allow({File(rule, "Allow")});
    EXPECT_EQ(block.On(Write("/etc/shadow")), "Block: " + at);
    EXPECT_EQ(block.On(Read("/etc/shadow")), "Allow");
    EXPECT_EQ(block.On(Write("/var/shadow")), "Allow");
    EXPECT_EQ(audit.On(Read("/etc/shadow")), "Audit: " + at);
    EXPECT_EQ(audit.On(Write("/etc/shadow")), "Allow");
    EXPECT_EQ(allow.OnClosed(Read("/etc/shadow")), "Allow: " + at);
    EXPECT_EQ(allow.OnClosed(Write("/etc/shadow")), "Block: posture " + at);
  }
}

TEST(LsmFile, OwnersMayBeTheOnlyOnes) {
  const Subject owner{.uid = kOwner}, root{};
  for (const auto& [list, target] : Forms()) {
    const std::string rule = list + ": [{" + target + ", ownerOnly: true, readOnly: true}]";
    const std::string at = "a spec.file." + list + "[0]";
    const Policies block({File(rule)}), audit({File(rule, "Audit")}), allow({File(rule, "Allow")});
    EXPECT_EQ(block.On(Read("/etc/shadow", kOwner), owner), "Allow");
    EXPECT_EQ(block.On(Write("/etc/shadow", kOwner), owner), "Block: " + at);
    EXPECT_EQ(block.On(Read("/etc/shadow", kOwner), root), "Block: " + at);
    EXPECT_EQ(audit.On(Read("/etc/shadow", kOwner), owner), "Audit: " + at);
    EXPECT_EQ(audit.On(Read("/etc/shadow", kOwner), root), "Allow");
    EXPECT_EQ(allow.OnClosed(Read("/etc/shadow", kOwner), owner), "Allow: " + at);
    EXPECT_EQ(allow.OnClosed(Read("/etc/shadow", kOwner), root), "Block: posture " + at);
    EXPECT_EQ(allow.OnClosed(Write("/etc/shadow", kOwner), owner), "Block: posture " + at);
  }
}

TEST(LsmFile, SourcesAreTheProgramsThatOpen) {
  const Subject cat{.program = "/bin/cat"}, head{.program = "/usr/bin/head"};
  for (const auto& [list, target] : Forms()) {
    const std::string rule = list + ": [{" + target + ", fromSource: [{path: /bin/cat}]}]";
    const std::string at = "a spec.file." + list + "[0]";
    const Policies block({File(rule)}), audit({File(rule, "Audit")}), allow({File(rule, "Allow")});
    EXPECT_EQ(block.On(Read("/etc/shadow"), cat), "Block: " + at);
    EXPECT_EQ(block.On(Read("/etc/shadow"), head), "Allow");
    EXPECT_EQ(audit.On(Read("/etc/shadow"), cat), "Audit: " + at);
    EXPECT_EQ(audit.On(Read("/etc/shadow"), head), "Allow");
    EXPECT_EQ(allow.OnClosed(Read("/etc/shadow"), cat), "Allow: " + at);
    EXPECT_EQ(allow.OnClosed(Read("/var/log"), cat), "Block: posture " + at);
    EXPECT_EQ(allow.OnClosed(Read("/var/log"), head), "Allow");
  }
}

TEST(LsmFile, TerminalsMayBeACondition) {
  const Policies block({File("matchPaths: [{path: /etc/hostname, pts: false}]")});
  EXPECT_EQ(block.On(Read("/etc/hostname"), {.terminal = true}), "Block: a spec.file.matchPaths[0]");
  EXPECT_EQ(block.On(Read("/etc/hostname"), {.terminal = false}), "Allow");
}

TEST(LsmFile, RulesAreChecked) {
  Check({
      {File("matchPaths: [{path: /a, readOnly: true}]"), File("matchPaths: [{path: /a, readonly: true}]"),
       "spec.file.matchPaths[0].readonly: unknown field: did you mean readOnly?"},
      {File("matchPaths: [{path: /a}]"), File("matchPaths: [{execname: a}]"),
       "spec.file.matchPaths[0].execname: unknown field: known are path, readOnly, ownerOnly, pts, fromSource, "
       "severity, tags, message, action"},
      {File("matchDirectories: [{dir: /a/, recursive: true}]"), File("matchDirectories: [{dir: /a/, recurive: true}]"),
       "spec.file.matchDirectories[0].recurive: unknown field: did you mean recursive?"},
      {File("matchPatterns: [{pattern: /a}]"), File("matchPatterns: [{path: /a}]"),
       "spec.file.matchPatterns[0].path: unknown field: known are pattern, readOnly, ownerOnly, pts, fromSource, "
       "severity, tags, message, action"},
      {File("matchPaths: [{path: /a}]"), File("matchPaths: {path: /a}"),
       "spec.file.matchPaths: must be a list, got a map"},
      {File("matchPaths: [{path: /a}]"), File("network: {matchProtocols: [{protocol: tcp}]}"),
       "spec.file.network: unknown field: it belongs to spec, so it must be indented like the other sections"},
  });
}

}  // namespace
}  // namespace sluice::policy::lsm
