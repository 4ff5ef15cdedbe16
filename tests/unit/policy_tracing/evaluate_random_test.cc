// The compiled tables against the policy itself, on random hooks and facts.
#include "tests/unit/policy_tracing/random_hook.h"
#include "tests/unit/policy_tracing/specs.h"

namespace sluice::policy::tracing {
namespace {

constexpr std::uint32_t kRandomSeed = 20261201;
constexpr int kRandomHooks = 6000;
constexpr int kFactsOfHook = 20;
constexpr int kHooksOfOperator = 30;

struct HookTally {
  int matched = 0;
  int not_matched = 0;
  int refused = 0;         // policies
  int later_selector = 0;  // not the first one
  int no_event = 0;
  int at_return = 0;
  int lost_at_return = 0;  // the filters on the return do not hold
};

void CompareOutcomes(const TracingPolicy& policy, const CompiledPolicy& compiled, const Facts& facts,
                     HookTally& tally) {
  const Outcome expected = Evaluate(policy, policy.hooks[0], facts, RandomHooks::Options());
  const Outcome found = EvaluateTables(compiled, compiled.hooks[0], facts);
  ASSERT_EQ(found.selector, expected.selector);
  ASSERT_EQ(found.event, expected.event);
  ASSERT_EQ(found.at_begin, expected.at_begin);
  ASSERT_EQ(found.at_return, expected.at_return);
  const bool matched = expected.selector.has_value();
  ++(matched ? tally.matched : tally.not_matched);
  if (!matched) return;
  tally.later_selector += *expected.selector > 0 ? 1 : 0;
  tally.no_event += expected.event ? 0 : 1;
  tally.at_return += expected.at_return == Deeds() ? 0 : 1;
  const HookSelector* selector =
      policy.hooks[0].selectors.empty() ? nullptr : &policy.hooks[0].selectors[*expected.selector];
  const bool lost = selector != nullptr && !selector->return_args.empty() && !expected.event;
  tally.lost_at_return += lost ? 1 : 0;
}

TEST(TracingEvaluate, TablesDoWhatThePolicySays) {
  RandomHooks random(kRandomSeed);
  HookTally tally;
  for (int i = 0; i < kRandomHooks; ++i) {
    const auto policy = std::make_shared<const TracingPolicy>(random.Policy());
    const Compilation compiled = Compile(policy, RandomHooks::Options());
    if (compiled.policy == nullptr) {
      ASSERT_NE(compiled.problems.front().what.find("Sluice does not enforce"), std::string::npos)
          << compiled.problems.front().what;
      ++tally.refused;
      continue;
    }
    ASSERT_GE(compiled.policy->hooks.size(), 1U);
    for (int j = 0; j < kFactsOfHook; ++j) {
      CompareOutcomes(*policy, *compiled.policy, random.FactsFor(*policy), tally);
      ASSERT_FALSE(HasFatalFailure()) << "hook " << i << ", facts " << j;
    }
  }
  EXPECT_LT(tally.refused, kRandomHooks / 2);
  EXPECT_GT(tally.matched, 20'000);
  EXPECT_GT(tally.not_matched, 20'000);
  EXPECT_GT(tally.later_selector, 1000);
  EXPECT_GT(tally.no_event, 1000);
  EXPECT_GT(tally.at_return, 1000);
  EXPECT_GT(tally.lost_at_return, 500);
}

TEST(TracingEvaluate, EveryOperatorOnEveryTypeHoldsAndDoesNot) {
  RandomHooks random(kRandomSeed);
  int combinations = 0;
  for (const OperatorInfo& op : kOperators) {
    for (const ArgTypeInfo& type : kArgTypes) {
      if (!RandomHooks::Fits(op, type)) continue;
      ++combinations;
      HookTally tally;
      for (int i = 0; i < kHooksOfOperator; ++i) {
        const auto policy = std::make_shared<const TracingPolicy>(random.PolicyOn(op, type.type));
        const Compilation compiled = Compile(policy, RandomHooks::Options());
        ASSERT_NE(compiled.policy, nullptr) << compiled.problems.front().what;
        for (int j = 0; j < kFactsOfHook; ++j) {
          CompareOutcomes(*policy, *compiled.policy, random.FactsFor(*policy), tally);
          ASSERT_FALSE(HasFatalFailure()) << op.name << " on " << type.name;
        }
      }
      EXPECT_GT(tally.matched, 0) << op.name << " on " << type.name;
      EXPECT_GT(tally.not_matched, 0) << op.name << " on " << type.name;
    }
  }
  EXPECT_GT(combinations, 300);
}

}  // namespace
}  // namespace sluice::policy::tracing
