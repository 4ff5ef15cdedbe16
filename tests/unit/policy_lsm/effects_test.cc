// Severity, tags, message and action; rules that say the same or the opposite; what a whole policy must have.
#include <gmock/gmock.h>

#include "tests/unit/policy_lsm/policies.h"

namespace sluice::policy::lsm {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

TEST(LsmEffects, TheInnermostCounts) {
  const auto policy = PolicyOf(
      "{severity: 2, tags: [a], message: m, action: Audit, file: {severity: 3, tags: [b, c], matchPaths: [{path: /a}, "
      "{path: /b, severity: 4, tags: [], message: i, action: Block}]}, process: {message: o, matchPaths: [{path: "
      "/c}]}}");
  const Effect& first = policy->file[0].rule.effect;
  EXPECT_EQ(first.severity, 3);
  EXPECT_THAT(first.tags, ElementsAre("b", "c"));
  EXPECT_EQ(first.message, "m");
  EXPECT_EQ(first.action, Action::kAudit);
  const Effect& second = policy->file[1].rule.effect;
  EXPECT_EQ(second.severity, 4);
  EXPECT_THAT(second.tags, IsEmpty());
  EXPECT_EQ(second.message, "i");
  EXPECT_EQ(second.action, Action::kBlock);
  const Effect& third = policy->process[0].rule.effect;
  EXPECT_EQ(third.severity, 2);
  EXPECT_THAT(third.tags, ElementsAre("a"));
  EXPECT_EQ(third.message, "o");
}

TEST(LsmEffects, HaveDefaults) {
  const auto policy = PolicyOf("{file: {severity: null, matchPaths: [{path: /a}]}}");
  const Effect& effect = policy->file[0].rule.effect;
  EXPECT_EQ(effect.severity, 1);
  EXPECT_EQ(effect.action, Action::kBlock);
  EXPECT_EQ(policy->file[0].rule.field, "spec.file.matchPaths[0]");
  EXPECT_EQ(policy->file[0].rule.place.line, 1);
}

TEST(LsmEffects, AreChecked) {
  const auto with = [](const std::string& field) { return "{presets: [{name: exec}], " + field + "}"; };
  Check({
      {with("severity: 1"), with("severity: 0"), "spec.severity: must be a decimal number from 1 to 10, got 0"},
      {with("severity: 10"), with("severity: 11"), "spec.severity: must be a decimal number from 1 to 10, got 11"},
      {with("severity: 5"), with("severity: '5'"), "spec.severity: must be a decimal number from 1 to 10, got \"5\""},
      {with("action: Audit"), with("action: audit"), "spec.action: \"audit\": write Audit"},
      {with("action: Block"), with("action: Deny"),
       "spec.action: unknown action \"Deny\": known are Allow, Audit, Block"},
      {with("action: Block"), with("action: Blok"), "spec.action: unknown action \"Blok\": did you mean Block?"},
      {with("tags: [a]"), with("tags: a"), "spec.tags: must be a list, got \"a\""},
      {with("tags: [a]"), with("tags: [5]"), "spec.tags[0]: must be a string: quote it (\"5\")"},
      {with("message: ''"), with("message: 5"), "spec.message: must be a string: quote it (\"5\")"},
      {with("message: " + std::string(1024, 'a')), with("message: " + std::string(1025, 'a')),
       "spec.message: 1025 bytes: at most 1024 are possible"},
  });
}

TEST(LsmStatements, ThatAreThereTwiceAreWarnings) {
  const auto file = [](const std::string& rules) { return "{file: {matchPaths: [" + rules + "]}}"; };
  const std::string twice = "spec.file.matchPaths[1]: says what spec.file.matchPaths[0] on line 1 says: remove one";
  EXPECT_EQ(WarningOf(file("{path: /a}, {path: /a}")), twice);
  EXPECT_EQ(WarningOf(file("{path: /a}, {path: /a, severity: 5}")), twice);
  EXPECT_EQ(WarningOf(file("{path: /a}, {path: /b}")), "no warning");
  EXPECT_EQ(WarningOf(file("{path: /a}, {path: /a, fromSource: [{path: /p}]}")), "no warning");
  EXPECT_EQ(WarningOf(file("{path: /a, fromSource: [{path: /p}]}, {path: /a, fromSource: [{path: /q}, {path: /p}]}")),
            twice);
  EXPECT_EQ(WarningOf(file("{path: /a, ownerOnly: true}, {path: /a, readOnly: true}")), "no warning");
  EXPECT_EQ(WarningOf(file("{path: /a, action: Allow}, {path: /a, action: Audit}")), "no warning");
  EXPECT_EQ(WarningOf("{process: {matchPaths: [{path: /a}]}, file: {matchPaths: [{path: /a}]}}"), "no warning");
  EXPECT_EQ(WarningOf("{file: {matchDirectories: [{dir: /a/}, {dir: /a/, recursive: true}]}}"), "no warning");
  EXPECT_EQ(WarningOf("{network: {matchPeers: [{cidr: 10.0.0.0/8, port: 1}, {cidr: 10.0.0.0/8, port: 2}]}}"),
            "no warning");
  EXPECT_EQ(WarningOf("{network: {matchPeers: [{cidr: 10.0.0.0/8}, {cidr: 10.1.0.0/8}]}}"),
            "spec.network.matchPeers[1]: says what spec.network.matchPeers[0] on line 1 says: remove one");
}

TEST(LsmStatements, ThatCanNeverTakeEffectAreErrors) {
  const auto file = [](const std::string& rules) { return "{file: {matchPaths: [" + rules + "]}}"; };
  const std::string second = "spec.file.matchPaths[1]: ", by_first =
                                                              " can never take effect: spec.file.matchPaths[0] on "
                                                              "line 1 blocks the same";
  Check({
      {file("{path: /a}, {path: /b, action: Allow}"), file("{path: /a}, {path: /a, action: Allow}"),
       second + "Allow" + by_first},
      {file("{path: /a, ownerOnly: true}, {path: /a, action: Audit}"), file("{path: /a}, {path: /a, action: Audit}"),
       second + "Audit" + by_first},
      {file("{path: /a, action: Allow}, {path: /a, ownerOnly: true}"), file("{path: /a, action: Allow}, {path: /a}"),
       "spec.file.matchPaths[0]: Allow can never take effect: spec.file.matchPaths[1] on line 1 blocks the same"},
      {file("{path: /a, fromSource: [{path: /p}], action: Allow}, {path: /a}"),
       file("{path: /a, fromSource: [{path: /p}], action: Allow}, {path: /a, fromSource: [{path: /p}, {path: /q}]}"),
       "spec.file.matchPaths[0]: Allow can never take effect: spec.file.matchPaths[1] on line 1 blocks the same"},
  });
}

TEST(LsmPolicies, MustDoSomething) {
  Check({
      {"{presets: [{name: exec}]}", "{severity: 3}",
       "spec: has no rule, and would do nothing: add process, file, network, capabilities, syscalls or presets"},
      {"{presets: [{name: exec}]}", "{presets: [{name: exec}], apparmor: 'deny /etc/ r,'}",
       "spec.apparmor: refused: profiles of AppArmor are not enforced here: write rules instead"},
      {"{presets: [{name: exec}]}", "{presets: [{name: exec}], proces: {}}",
       "spec.proces: unknown field: did you mean process?"},
  });
  Check({{"{presets: [{name: exec}]}", "{presets: [{name: exec}], device: {matchDevice: []}}",
          "spec.device: refused: USB devices are not watched here"}},
        Policy::Kind::kHost);
  std::string rules;
  for (int i = 0; i < 1024; ++i) rules += fmt::format("{{path: /{}}}, ", i);
  EXPECT_EQ(ErrorOf("{file: {matchPaths: [" + rules + "]}}"), "no error");
  EXPECT_EQ(ErrorOf("{file: {matchPaths: [" + rules + "{path: /a}]}}"),
            "spec.file.matchPaths[1024]: at most 1024 rules are possible in a policy: split it");
}

TEST(LsmPolicies, PathsWithSpacesAreWarnings) {
  const std::string what = ": has a space: paths are compared, and no command lines";
  EXPECT_EQ(WarningOf("{process: {matchPaths: [{path: /bin/ls -l}]}}"), "spec.process.matchPaths[0].path" + what);
  EXPECT_EQ(WarningOf("{process: {matchPatterns: [{pattern: '/*/pip install*'}]}}"),
            "spec.process.matchPatterns[0].pattern" + what);
}

}  // namespace
}  // namespace sluice::policy::lsm
