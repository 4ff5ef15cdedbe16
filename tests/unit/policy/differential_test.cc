// The compiled tables against the reference evaluator, on random scenarios.
#include <fmt/ranges.h>
#include <gtest/gtest.h>

#include "policy/network/compiler.h"
#include "tests/support/effect_name.h"
#include "tests/support/random_policy.h"
#include "tests/support/table_lookup.h"

namespace sluice::policy {
namespace {

constexpr std::uint64_t kSeed = 20240611;
constexpr int kScenarios = 1000;
constexpr int kFlows = 250;

std::string Text(const std::optional<Process>& process) {
  if (!process) return "(not known)";
  return fmt::format("({} script {} ancestors {}{})", process->binary, process->script,
                     fmt::join(process->ancestors, " "), process->more_ancestors ? " and more" : "");
}

std::string Text(const Flow& flow) {
  return fmt::format("{} {} -> {} {} protocol {} port {}{}", flow.source.ToString(), Text(flow.source_process),
                     flow.destination.ToString(), Text(flow.destination_process), flow.protocol, flow.port,
                     flow.from_node ? " from node" : "");
}

std::string Text(const Decision& decision) {
  std::string text = fmt::format("allowed {} audit_denied {}", decision.allowed, decision.audit_denied);
  for (const Contribution& part : decision.contributions) {
    text += fmt::format(" [{} {} {} {}]", part.policy.ToString(), part.rule, test::EffectName(part.effect),
                        test::EffectName(part.would));
  }
  return text;
}

// The decision for a number found in the tables; 0: not isolated.
Decision Meaning(const CompiledPolicy& compiled, std::uint32_t number) {
  const auto found = compiled.decisions.find(number);
  return found == compiled.decisions.end() ? Decision{} : *found->second;
}

struct Tally {
  int allowed = 0, denied = 0, audited = 0, decided = 0;
  int by_process = 0;  // another process would get another verdict
};

bool HangsOnTheProcess(const Snapshot& snapshot, const Flow& flow, const Evaluation& answer) {
  if (!answer.egress_by_process && !answer.ingress_by_process) return false;
  Flow other = flow;
  other.source_process = other.destination_process = Process{.binary = "/usr/bin/other"};
  const Evaluation another = Evaluate(snapshot, other, Scope::kLocal);
  return std::tie(another.egress, another.ingress) != std::tie(answer.egress, answer.ingress);
}

void Compare(const Snapshot& snapshot, const CompiledPolicy& compiled, const Flow& flow, Tally& tally) {
  const Evaluation expected = Evaluate(snapshot, flow, Scope::kLocal);
  const test::TableVerdict found = test::LookUp(compiled.tables, flow);
  ASSERT_EQ(found.allowed, expected.allowed) << Text(flow);
  ASSERT_EQ(found.audit_denied, expected.audit_denied) << Text(flow);
  const Decision none;
  for (const auto& [number, decision] :
       {std::pair{found.egress_decision, &expected.egress}, std::pair{found.ingress_decision, &expected.ingress}}) {
    const Decision& wanted = decision->has_value() ? **decision : none;
    // A policy that isolates nothing may make a decision that names nothing.
    ASSERT_TRUE(number != 0 || wanted.contributions.empty()) << Text(flow);
    if (number != 0) {
      ASSERT_TRUE(compiled.decisions.contains(number)) << number;
    }
    const Decision meaning = Meaning(compiled, number);
    ASSERT_EQ(meaning, wanted) << Text(flow) << "\n tables:    " << Text(meaning) << "\n evaluator: " << Text(wanted);
    tally.decided += number != 0;
  }
  tally.allowed += found.allowed;
  tally.denied += !found.allowed;
  tally.audited += found.audit_denied;
  tally.by_process += HangsOnTheProcess(snapshot, flow, expected);
}

TEST(Differential, TablesAnswerAsTheEvaluatorDoes) {
  Tally tally;
  for (int world = 0; world < kScenarios; world++) {
    SCOPED_TRACE(fmt::format("seed {} + world {}", kSeed, world));
    test::RandomPolicy random(kSeed + world, {.policies = 1 + world % 16, .processes = world % 2 == 0});
    const auto snapshot = random.NextSnapshot();
    const auto compiled = Compile(snapshot);
    ASSERT_TRUE(compiled.ok()) << compiled.status();
    for (int i = 0; i < kFlows; i++) {
      ASSERT_NO_FATAL_FAILURE(Compare(*snapshot, *compiled, random.NextFlow(*snapshot), tally));
    }
  }
  // The scenarios are useful: no outcome is rare.
  EXPECT_GT(tally.allowed, kScenarios * kFlows / 5);
  EXPECT_GT(tally.denied, kScenarios * kFlows / 5);
  EXPECT_GT(tally.audited, kScenarios * kFlows / 50);
  EXPECT_GT(tally.decided, kScenarios * kFlows / 3);
  EXPECT_GT(tally.by_process, kScenarios * kFlows / 50);
}

// An off-by-one error would show at the ends of a port table's intervals: tests both sides of every step, for all
// peers.
TEST(Differential, EveryStepOfEveryPortTable) {
  Tally tally;
  for (int world = 0; world < 60; world++) {
    SCOPED_TRACE(fmt::format("seed {} + world {}", kSeed + kScenarios, world));
    test::RandomPolicy random(kSeed + kScenarios + world,
                              {.workloads = 3, .pods = 4, .policies = 6, .processes = true});
    const auto snapshot = random.NextSnapshot();
    const auto compiled = Compile(snapshot);
    ASSERT_TRUE(compiled.ok()) << compiled.status();
    std::vector<std::uint32_t> services = {0};
    for (const auto& [index, entry] : compiled->tables.ports) {
      for (const std::uint32_t service : {entry.start - 1, entry.start, entry.start + 1}) {
        if (service < 1U << 24U) services.push_back(service);
      }
    }
    for (const auto& [source, source_index] : snapshot->by_address) {
      for (const auto& [destination, destination_index] : snapshot->by_address) {
        if (source.is_v4() != destination.is_v4()) continue;
        for (const std::uint32_t service : services) {
          const Flow flow{.source = source,
                          .destination = destination,
                          .protocol = static_cast<std::uint8_t>(service >> 16U),
                          .port = static_cast<std::uint16_t>(service & 0xffffU),
                          .source_process = random.NextProcess(),
                          .destination_process = random.NextProcess()};
          ASSERT_NO_FATAL_FAILURE(Compare(*snapshot, *compiled, flow, tally));
        }
      }
    }
  }
  EXPECT_GT(tally.denied, 1000);
}

}  // namespace
}  // namespace sluice::policy
