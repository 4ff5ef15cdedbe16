// The kernel's data for rules by process; differential_test.cc checks the answers.
#include "policy/network/process_verdict.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "policy/network/diff.h"
#include "tests/support/effect_name.h"
#include "tests/unit/policy/world.h"

namespace sluice::policy {
namespace {

// shop/web's egress.
std::string Egress(const std::string& rules, const std::string& more = "policyTypes: [Egress]") {
  return SluicePolicyYaml("shop", "p",
                          fmt::format("podSelector: {{matchLabels: {{app: web}}}}, {}, egress: {}", more, rules));
}

std::string Rules(int count, const std::string& more = "") {
  std::string rules;
  for (int i = 0; i < count; i++) rules += fmt::format("{{processes: {{binaries: [/bin/{}]}}{}}}, ", i, more);
  return "[" + rules + "]";
}

std::vector<std::string> Patterns(const Tables& tables) {
  std::vector<std::string> patterns;
  for (const auto& [bit, pattern] : tables.patterns) {
    EXPECT_EQ(bit, patterns.size());
    patterns.emplace_back(pattern.text);
    EXPECT_EQ(patterns.back().size(), pattern.length);
    EXPECT_EQ(std::string(pattern.text + pattern.length, SL_PROGRAM_PATH_MAX + 1 - pattern.length),
              std::string(SL_PROGRAM_PATH_MAX + 1 - pattern.length, '\0'));
  }
  return patterns;
}

const sl_process_verdict& TheProcessVerdict(const World& world) {
  EXPECT_EQ(world.compiled().tables.process_verdicts.size(), 1U);
  return world.compiled().tables.process_verdicts.begin()->second;
}

StatusOr<CompiledPolicy> CompileWith(const std::string& policies, const Limits& limits = {}) {
  ResourceMap resources;
  const auto parsed = ParseResources("test", kBaseScenario + ("---\n" + policies)).value();
  for (const Resource& resource : parsed) resources.insert_or_assign(resource.id, resource);
  const Binding binding{.ifindex = 7, .endpoint = 1, .ips = {Address::Parse("10.0.0.1").value()}};
  return Compile(Snapshot::Build(resources, {{{"shop", "web"}, binding}}, {}).value(), limits);
}

TEST(ProcessVerdict, PatternsAreNumberedInOrder) {
  World world;
  world.Apply(Egress("[{processes: {binaries: [/b, /a*], ancestors: [/c, /b]}}]"));
  EXPECT_THAT(Patterns(world.compiled().tables), testing::ElementsAre("/a*", "/b", "/c"));
  const sl_process_verdict& process_verdict = TheProcessVerdict(world);
  EXPECT_EQ(process_verdict.count, 1U);
  EXPECT_EQ(process_verdict.conditions[0].binaries, 0b011U);
  EXPECT_EQ(process_verdict.conditions[0].ancestors, 0b110U);
}

TEST(ProcessVerdict, OnlyWhatIsCompiledHasPatterns) {
  World world;
  world.Apply(SluicePolicyYaml("shop", "nobody",
                               "podSelector: {matchLabels: {app: none}}, ingress: [{processes: {binaries: [/a]}}]") +
              "---\n" +
              SluicePolicyYaml("shop", "other-direction",
                               "podSelector: {}, policyTypes: [Ingress], egress: [{processes: {binaries: [/b]}}]"));
  EXPECT_THAT(Patterns(world.compiled().tables), testing::IsEmpty());
  EXPECT_TRUE(world.compiled().tables.process_verdicts.empty());
}

TEST(ProcessVerdict, OutcomesAreInTheOrderOfTheConditionsMet) {
  World world;
  world.Apply(Egress("[{processes: {binaries: [/a]}}, {action: Deny, processes: {binaries: [/b]}}]"));
  const sl_process_verdict& process_verdict = TheProcessVerdict(world);
  ASSERT_EQ(process_verdict.count, 2U);
  EXPECT_EQ(process_verdict.conditions[0].binaries, 1U);
  EXPECT_EQ(process_verdict.conditions[1].binaries, 2U);
  std::string rules;
  for (std::uint32_t i = 0; i < 4; i++) {
    const sl_port_entry& outcome = world.compiled().tables.ports.at(process_verdict.outcomes + i);
    const Contribution& part = world.compiled().decisions.at(outcome.decision)->contributions.at(0);
    rules += fmt::format("{}{} {}; ", part.rule, test::EffectName(part.effect), outcome.verdict);
  }
  EXPECT_EQ(rules, "DEFAULT_DENY 0; egress[0]ALLOW 1; egress[1]DENY 0; egress[1]DENY 0; ");
}

TEST(ProcessVerdict, EqualConditionsAreOne) {
  World world;
  world.Apply(
      Egress("[{action: Deny, processes: {binaries: [/a, /b]}}, {}, "
             "{action: Audit, processes: {binaries: [/b, /a, /b]}}]"));
  EXPECT_EQ(TheProcessVerdict(world).count, 1U);
  world.Apply(Egress("[{processes: {binaries: [/a, /b]}}, {action: Audit, processes: {binaries: [/b, /a, /b]}}]"));
  EXPECT_EQ(TheProcessVerdict(world).count, 2U) << "who allows and who notes differ where nothing is known";
}

TEST(ProcessVerdict, WhereEveryProcessGetsTheSameThereIsNoChoice) {
  World world;
  world.Apply(Egress("[{action: Deny, ports: [{port: 1}]}, {processes: {binaries: [/a]}}]"));
  EXPECT_EQ(world.compiled().tables.process_verdicts.size(), 1U);
  world.Apply(Egress("[{action: Deny}, {processes: {binaries: [/a]}}]"));
  EXPECT_TRUE(world.compiled().tables.process_verdicts.empty());
}

TEST(ProcessVerdict, AChoiceIsStoredOnceForAllPeersAndPorts) {
  World world;
  world.Apply(
      Egress("[{ports: [{port: 80}, {port: 82}], processes: {binaries: [/a]}}, "
             "{to: [{ipBlock: {cidr: 192.0.2.0/24}}], ports: [{port: 1}]}]"));
  EXPECT_EQ(world.compiled().tables.process_verdicts.size(), 1U);
}

TEST(ProcessVerdict, ANewPatternMovesNoChoice) {
  World world;
  world.Apply(Egress("[{ports: [{port: 80}], processes: {binaries: [/b]}}]"));
  const Tables before = world.compiled().tables;
  world.Apply(
      SluicePolicyYaml("bank", "p", "podSelector: {}, ingress: [{ports: [{port: 1}], processes: {binaries: [/a]}}]"));
  const Plan plan = Diff(before, world.compiled().tables);
  EXPECT_EQ(plan.process_verdicts.deletes.size(), 0U);
  EXPECT_EQ(plan.process_verdicts.puts.size(), 2U) << "the new one, and the other's bits";
  EXPECT_EQ(plan.ports.deletes.size(), 0U);
  EXPECT_EQ(plan.ports.puts.size(), 3U + 2U) << "a port table of three steps, and two outcomes";
}

TEST(ProcessVerdict, LimitsNameTheTableTheNeedAndTheLimit) {
  const auto error = [](const StatusOr<CompiledPolicy>& compiled) {
    EXPECT_EQ(compiled.status().code(), absl::StatusCode::kResourceExhausted);
    return Message(compiled.status());
  };
  const auto policy = [](int patterns) {
    std::string binaries;
    for (int i = 0; i < patterns; i++) binaries += fmt::format("/bin/{}, ", i);
    return Egress(fmt::format("[{{processes: {{binaries: [{}]}}}}]", binaries));
  };
  EXPECT_TRUE(CompileWith(policy(64)).ok());
  EXPECT_THAT(error(CompileWith(policy(65))),
              testing::HasSubstr("need 65 entries of the table \"program_patterns\", which holds 64"));
  std::string apart;
  for (int i = 0; i < 5; i++)
    apart += fmt::format("{{ports: [{{port: {0}}}], processes: {{binaries: [/{0}]}}}}, ", i + 1);
  EXPECT_TRUE(CompileWith(Egress("[" + apart + "]"), {.process_verdicts = 5}).ok());
  EXPECT_THAT(error(CompileWith(Egress("[" + apart + "]"), {.process_verdicts = 4})),
              testing::HasSubstr("need 5 entries of the table \"process_verdicts\", which holds 4"));
  EXPECT_TRUE(CompileWith(Egress(Rules(8))).ok());
  EXPECT_THAT(error(CompileWith(Egress(Rules(9)))),
              testing::StartsWith("NetworkPolicy shop/p: 9 different \"processes\" match one peer and port in egress, "
                                  "at most 8 can: put binaries"));
}

// A full one: 2^8 results.
TEST(ProcessVerdict, EightConditionsAnswerLikeTheEvaluator) {
  World world;
  world.Apply(Egress("[" + std::string("{action: Deny, processes: {ancestors: [/bin/0]}}, ") + Rules(7).substr(1)));
  EXPECT_EQ(TheProcessVerdict(world).count, 8U);
  for (int program = -1; program < 8; program++) {
    for (const bool descendant : {false, true}) {
      Flow flow = world.FlowOf("shop/web", "shop/db", "80/TCP");
      flow.source_process = Process{.binary = fmt::format("/bin/{}", program)};
      if (descendant) flow.source_process->ancestors = {"/bin/0"};
      EXPECT_EQ(world.Evaluate(flow).allowed, program >= 0 && program < 7 && !descendant) << program << descendant;
    }
  }
  EXPECT_FALSE(world.Allows("shop/web", "shop/db"));
}

}  // namespace
}  // namespace sluice::policy
