// The lenient mode: what it reads, what it says, and what it refuses all the same. And the kinds in files.
#include <gmock/gmock.h>

#include "policy/resource/gather.h"
#include "tests/unit/policy_lsm/policies.h"

namespace sluice::policy::lsm {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

std::vector<std::string> WhatOf(const std::vector<Problem>& problems) {
  std::vector<std::string> lines;
  for (const Problem& problem : problems) lines.push_back(problem.what);
  return lines;
}

std::vector<std::string> LenientWarnings(const std::string& spec, Policy::Kind kind = Policy::Kind::kPods) {
  const ParsedSpec parsed = ParseLenient(spec, kind);
  EXPECT_THAT(WhatOf(parsed.problems), IsEmpty()) << spec;
  return WhatOf(parsed.warnings);
}

TEST(LsmLenient, KeysThatNobodyKnowsHaveNoEffect) {
  const ParsedSpec parsed = ParseLenient("{process: {matchDirectories: [{dir: /a/, recurive: true, readOnly: true}]}}");
  ASSERT_NE(parsed.policy, nullptr);
  EXPECT_FALSE(parsed.policy->process[0].target.recursive);
  EXPECT_FALSE(parsed.policy->process[0].rule.conditions.read_only);
  EXPECT_THAT(WhatOf(parsed.warnings),
              ElementsAre("spec.process.matchDirectories[0].recurive: unknown field: did you mean recursive?",
                          "spec.process.matchDirectories[0].readOnly: unknown field: known are dir, recursive, "
                          "ownerOnly, pts, fromSource, severity, tags, message, action"));
  EXPECT_THAT(LenientWarnings("{presets: [{name: exec}], selector: {app: web}}"),
              ElementsAre("spec.selector.app: unknown field: known are matchLabels, matchExpressions",
                          "spec.selector: without them, every pod is selected that the policy may be for"));
  EXPECT_THAT(LenientWarnings("{presets: [{name: exec}], selector: {app: web, matchLabels: {a: b}}}"),
              ElementsAre("spec.selector.app: unknown field: known are matchLabels, matchExpressions"));
}

TEST(LsmLenient, ValuesAreReadWhereTheyAreClear) {
  EXPECT_THAT(LenientWarnings("{presets: [{name: exec}], action: audit}"),
              ElementsAre("spec.action: \"audit\": write Audit"));
  EXPECT_EQ(ParseLenient("{presets: [{name: exec}], action: audit}").policy->presets[0].rule.effect.action,
            Action::kAudit);
  const ParsedSpec directory = ParseLenient("{file: {matchDirectories: [{dir: /usr/bin}]}}");
  ASSERT_NE(directory.policy, nullptr);
  EXPECT_EQ(directory.policy->file[0].target.text, "/usr/bin/");
  const ParsedSpec syscalls = ParseLenient("{syscalls: {matchSyscalls: [{syscall: [unlink]}], action: Block}}");
  ASSERT_NE(syscalls.policy, nullptr);
  EXPECT_EQ(syscalls.policy->syscalls[0].rule.effect.action, Action::kAudit);
  EXPECT_THAT(LenientWarnings("{network: {matchProtocols: [{protocol: udp}]}}", Policy::Kind::kHost),
              ElementsAre("spec.network.matchProtocols[0]: needs fromSource in a KubeArmorHostPolicy, or it is about "
                          "every program of the node"));
  EXPECT_THAT(LenientWarnings("{presets: [{name: exec}], file: {}}"),
              ElementsAre("spec.file: has no rule, and does nothing"));
  EXPECT_THAT(LenientWarnings("{file: {matchPaths: [{path: /a}, {path: /a, action: Allow}]}}"),
              ElementsAre("spec.file.matchPaths[1]: Allow can never take effect: spec.file.matchPaths[0] on line 1 "
                          "blocks the same"));
}

// What is meant is not known. An allow list stays one.
TEST(LsmLenient, RulesWithoutATargetMatchNothing) {
  struct TargetCase {
    std::string list, rule, warning;
  };
  const std::vector<TargetCase> cases = {
      {"matchPatterns", "path: /a", "spec.file.matchPatterns[0]: pattern is missing: the rule matches nothing"},
      {"matchPaths", "dir: /a/", "spec.file.matchPaths[0]: path is missing: the rule matches nothing"},
      {"matchDirectories", "path: /a", "spec.file.matchDirectories[0]: dir is missing: the rule matches nothing"},
      {"matchPatterns", "pattern: daemon",
       "spec.file.matchPatterns[0].pattern: \"daemon\" matches no path: it must begin with \"/\" or \"**\""},
      {"matchPaths", "path: '/home/*/a'",
       "spec.file.matchPaths[0].path: \"/home/*/a\" is compared as it is: write it as a pattern, in matchPatterns"},
  };
  for (const TargetCase& one : cases) {
    const ParsedSpec parsed = ParseLenient("{file: {" + one.list + ": [{" + one.rule + "}], action: Allow}}");
    ASSERT_NE(parsed.policy, nullptr) << one.rule;
    EXPECT_EQ(parsed.warnings.back().what, one.warning);
    for (const char* path : {"/a", "/a/b", "/daemon", "/home/u/a", "/"}) {
      const Decision decision = Evaluate({parsed.policy.get()}, {.file = Posture::kBlock}, {}, Opening{.path = path});
      EXPECT_EQ(decision.action, Action::kBlock) << one.rule << " " << path;
      EXPECT_TRUE(decision.by_posture) << one.rule << " " << path;
    }
  }
}

TEST(LsmLenient, WrongValuesAreErrors) {
  for (const char* spec :
       {"{presets: [{name: exec}], severity: 11}", "{presets: [{name: exec}], action: Deny}",
        "{presets: [{name: exce}]}", "{presets: [{name: exec}], apparmor: a}",
        "{network: {matchDNSQueries: [{domain: a.b}]}}", "{file: {matchPaths: [{path: a}]}}",
        "{file: {matchPatterns: [{pattern: '/[a'}]}}", "{capabilities: {matchCapabilities: [{capability: CAP_CHOWN}]}}",
        "{syscalls: {matchSyscalls: [{syscall: [unlnk]}]}}", "{severity: 3}"}) {
    EXPECT_EQ(ParseLenient(spec).policy, nullptr) << spec;
  }
}

std::string DocumentOf(const std::string& kind, const std::string& metadata,
                       const std::string& spec = "{presets: [{name: exec}]}") {
  return "apiVersion: security.kubearmor.com/v1\nkind: " + kind + "\nmetadata: " + metadata + "\nspec: " + spec + "\n";
}

std::vector<std::string> LinesOf(const std::vector<Problem>& problems) {
  std::vector<std::string> lines;
  for (const Problem& problem : problems) lines.push_back(problem.ToString("f.yaml"));
  return lines;
}

ParsedText ParseFile(const std::string& text, bool lenient = false) {
  return ParseText("f.yaml", text, {.more_kinds = KindParsers(), .lenient = lenient});
}

TEST(LsmKinds, AreRefusedWhereTheyAreNotRead) {
  for (const char* kind : {"KubeArmorPolicy", "KubeArmorHostPolicy", "KubeArmorClusterPolicy"}) {
    for (const bool skip : {false, true}) {
      const ParsedText parsed = ParseText("f.yaml", DocumentOf(kind, "{name: a}"), {.skip_unknown = skip});
      ASSERT_EQ(parsed.problems.size(), 1U) << kind;
      EXPECT_THAT(
          LinesOf(parsed.problems)[0],
          testing::StartsWith(fmt::format("f.yaml:2: document 1: kind: apiVersion \"security.kubearmor.com/v1\" has "
                                          "no kind \"{}\" here; known are v1 List, ",
                                          kind)));
      EXPECT_THAT(parsed.resources, IsEmpty());
    }
  }
  EXPECT_THAT(
      LinesOf(ParseFile(DocumentOf("KubeArmorNetworkPolicy", "{name: a}")).problems),
      ElementsAre("f.yaml:2: document 1: kind: security.kubearmor.com/v1 KubeArmorNetworkPolicy: a NetworkPolicy "
                  "of sluice.dev/v1alpha1 has rules about addresses and ports: write one instead"));
}

TEST(LsmKinds, AreReadWithTheirMetadata) {
  const ParsedText parsed = ParseFile(DocumentOf("KubeArmorPolicy", "{name: a, namespace: shop}") + "---\n" +
                                      DocumentOf("KubeArmorHostPolicy", "{name: a}") + "---\n" +
                                      DocumentOf("KubeArmorClusterPolicy", "{name: a}") + "---\n" +
                                      DocumentOf("KubeArmorPolicy", "{name: a}"));
  EXPECT_THAT(LinesOf(parsed.problems), IsEmpty());
  ASSERT_EQ(parsed.resources.size(), 4U);
  EXPECT_EQ(parsed.resources[0].id.ToString(), "KubeArmorPolicy shop/a");
  EXPECT_EQ(parsed.resources[1].id.ToString(), "KubeArmorHostPolicy a");
  EXPECT_EQ(parsed.resources[2].id.ToString(), "KubeArmorClusterPolicy a");
  EXPECT_EQ(parsed.resources[3].id.ToString(), "KubeArmorPolicy default/a");
  EXPECT_THAT(LinesOf(ParseFile(DocumentOf("KubeArmorHostPolicy", "{name: a, namespace: shop}")).problems),
              ElementsAre("f.yaml:3: KubeArmorHostPolicy a: metadata.namespace: a KubeArmorHostPolicy has none, and "
                          "would not be limited to it"));
  EXPECT_THAT(
      LinesOf(ParseFile(DocumentOf("KubeArmorPolicy", "{name: a}", "{file: {matchPaths: [{path: a}]}}")).problems),
      ElementsAre("f.yaml:4: KubeArmorPolicy default/a: spec.file.matchPaths[0].path: \"a\" is not absolute: it "
                  "must begin with \"/\""));
}

TEST(LsmKinds, WarningsSayWhere) {
  const GatheredTexts gathered = Gather(
      {{"f.yaml", DocumentOf("KubeArmorPolicy", "{name: a, namespace: shop}", "{presets: [{name: exec}], x: 1}")}},
      {.more_kinds = KindParsers(), .lenient = true});
  EXPECT_TRUE(gathered.FirstError().ok());
  ASSERT_EQ(gathered.notices.size(), 1U);
  EXPECT_THAT(gathered.notices[0],
              testing::StartsWith("f.yaml:4: KubeArmorPolicy/a: warning: spec.x: unknown field: "));
}

constexpr char kTwice[] =
    "{name: a}\nspec:\n  file:\n    matchPaths: [{path: /a}]\n    action: Audit\n  file:\n    matchPaths: [{path: "
    "/b}]\n"
    "    action: Block\n";

TEST(LsmKinds, KeysThatAreThereTwiceAreTheLast) {
  const std::string text = "apiVersion: security.kubearmor.com/v1\nkind: KubeArmorPolicy\nmetadata: ";
  const ParsedText strict = ParseFile(text + kTwice);
  EXPECT_THAT(LinesOf(strict.problems), ElementsAre("f.yaml:8: duplicate key \"file\": it is already on line 5"));
  const ParsedText lenient = ParseFile(text + kTwice, true);
  EXPECT_THAT(LinesOf(lenient.problems), IsEmpty());
  EXPECT_THAT(
      LinesOf(lenient.warnings),
      ElementsAre("f.yaml:5: KubeArmorPolicy default/a: duplicate key \"file\": line 8 has it again, and only the "
                  "last one is read"));
  EXPECT_EQ(lenient.resources.size(), 1U);
}

// Other kinds have no lenient mode, and neither has JSON.
TEST(LsmKinds, KeysThatAreThereTwiceAreErrorsElsewhere) {
  const std::string other = "apiVersion: v1\nkind: Namespace\nmetadata: {name: b}\nmetadata: {name: c}\n---\n" +
                            DocumentOf("KubeArmorPolicy", "{name: a}");
  const ParsedText parsed = ParseFile(other, true);
  EXPECT_THAT(LinesOf(parsed.problems),
              ElementsAre("f.yaml:3: document 1: duplicate key \"metadata\": line 4 has it again, "
                          "and only the last one is read"));
  ASSERT_EQ(parsed.resources.size(), 1U);
  EXPECT_EQ(parsed.resources[0].id.kind, Kind::kKubeArmorPolicy);
  const std::string json =
      R"({"apiVersion": "security.kubearmor.com/v1", "kind": "KubeArmorPolicy", "metadata": {"name": "a"},)"
      R"( "spec": {"severity": 1, "severity": 2}})";
  EXPECT_EQ(ParseFile(json, true).problems.size(), 1U);
}

}  // namespace
}  // namespace sluice::policy::lsm
