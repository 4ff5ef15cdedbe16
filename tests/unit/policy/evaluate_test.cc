// Parts of a decision; rules_test.cc tests the meaning of policies.
#include "policy/network/evaluate.h"

#include <gtest/gtest.h>

#include "policy/network/port_table.h"
#include "tests/unit/policy/world.h"

namespace sluice::policy {
namespace {

NetworkPolicy PolicyWith(const std::string& name, std::vector<RuleAction> actions,
                         PolicyMode mode = PolicyMode::kEnforce) {
  NetworkPolicy policy;
  policy.name = {"shop", name};
  policy.mode = mode;
  for (const RuleAction action : actions) policy.ingress.push_back({{}, {}, action});
  return policy;
}

TEST(Combine, NothingIsolates) { EXPECT_EQ(Combine(Direction::kIngress, {}), Decision{}); }

TEST(Combine, DoesNotDependOnTheOrderOfPolicies) {
  const NetworkPolicy a = PolicyWith("a", {RuleAction::kAllow, RuleAction::kAudit});
  const NetworkPolicy b = PolicyWith("b", {RuleAction::kAllow});
  const NetworkPolicy c = PolicyWith("c", {RuleAction::kDeny}, PolicyMode::kAudit);
  const Decision forward = Combine(Direction::kIngress, {{&a, {0, 1}}, {&b, {0}}, {&c, {0}}});
  EXPECT_EQ(forward, Combine(Direction::kIngress, {{&c, {0}}, {&b, {0}}, {&a, {0, 1}}}));
  EXPECT_TRUE(forward.allowed);
  EXPECT_TRUE(forward.audit_denied);
  EXPECT_EQ(forward.contributions.size(), 4U);
}

TEST(Combine, AnAuditPolicysDenyHidesItsAllow) {
  const NetworkPolicy audit = PolicyWith("a", {RuleAction::kAllow, RuleAction::kDeny}, PolicyMode::kAudit);
  const Decision decision = Combine(Direction::kIngress, {{&audit, {0, 1}}});
  ASSERT_EQ(decision.contributions.size(), 1U);
  EXPECT_EQ(decision.contributions[0].would, Effect::kDeny);
}

TEST(Combine, WithoutADefaultDenyOnlyRulesCount) {
  NetworkPolicy guard = PolicyWith("g", {RuleAction::kAllow, RuleAction::kDeny});
  guard.default_deny = false;
  EXPECT_EQ(Combine(Direction::kIngress, {{&guard, {}}}), Decision{}) << "it says nothing";
  EXPECT_TRUE(Combine(Direction::kIngress, {{&guard, {0}}}).allowed);
  EXPECT_FALSE(Combine(Direction::kIngress, {{&guard, {0, 1}}}).allowed);
  const NetworkPolicy isolating = PolicyWith("i", {});
  EXPECT_TRUE(Combine(Direction::kIngress, {{&isolating, {}}, {&guard, {0}}}).allowed);
  const Decision denied = Combine(Direction::kIngress, {{&isolating, {}}, {&guard, {}}});
  EXPECT_FALSE(denied.allowed);
  ASSERT_EQ(denied.contributions.size(), 1U) << "the guard does not isolate";
  EXPECT_EQ(denied.contributions[0].policy.name, "i");
  guard.mode = PolicyMode::kAudit;
  EXPECT_EQ(Combine(Direction::kIngress, {{&guard, {}}}), Decision{}) << "no note of a default deny";
  EXPECT_TRUE(Combine(Direction::kIngress, {{&guard, {1}}}).audit_denied);
}

TEST(Combine, ADeniedFlowIsNotAuditDenied) {
  const NetworkPolicy deny = PolicyWith("a", {RuleAction::kDeny});
  const NetworkPolicy audit = PolicyWith("b", {RuleAction::kDeny}, PolicyMode::kAudit);
  const Decision decision = Combine(Direction::kIngress, {{&deny, {0}}, {&audit, {0}}});
  EXPECT_FALSE(decision.allowed);
  EXPECT_FALSE(decision.audit_denied);
  EXPECT_EQ(decision.contributions.size(), 2U);
}

// The number of a decision that is alone.
std::uint32_t NumberOf(const Decision& decision) {
  Decisions decisions;
  const PoolIndex index = decisions.Intern(decision);
  return Raw(NumberDecisions(decisions)[index]);
}

TEST(DecisionNumber, EveryFieldCountsAndNoneIsZero) {
  Decision decision{.allowed = true, .audit_denied = false, .contributions = {{.policy = {"ns", "p"}, .rule = "r"}}};
  std::vector<std::uint32_t> hashes = {NumberOf({}), NumberOf(decision)};
  const auto changed = [&](auto change) {
    Decision other = decision;
    change(other);
    hashes.push_back(NumberOf(other));
  };
  changed([](Decision& d) { d.allowed = false; });
  changed([](Decision& d) { d.audit_denied = true; });
  changed([](Decision& d) { d.contributions[0].api = NetworkPolicy::Api::kSluice; });
  changed([](Decision& d) { d.contributions[0].policy = {"nsp", ""}; });
  changed([](Decision& d) { d.contributions[0].rule = "q"; });
  changed([](Decision& d) { d.contributions[0].effect = Effect::kDeny; });
  changed([](Decision& d) { d.contributions[0].would = Effect::kDeny; });
  changed([](Decision& d) { d.contributions.push_back(d.contributions[0]); });
  EXPECT_EQ(std::set<std::uint32_t>(hashes.begin(), hashes.end()).size(), hashes.size());
  EXPECT_EQ(std::count(hashes.begin(), hashes.end(), 0U), 0);
}

TEST(DecisionNumber, IsTheSameForever) {
  // Pinned tables of an earlier run hold these numbers.
  const Decision decision{.allowed = false,
                          .contributions = {{.policy = {"shop", "db"}, .effect = Effect::kDefaultDeny}}};
  EXPECT_EQ(NumberOf(decision), 463378431U);
}

TEST(Evaluate, EndsThatAreNotWorkloadsHaveNoDecision) {
  const World world;
  const Evaluation outside = world.Evaluate(kOutside4, kNode4, "80/TCP");
  EXPECT_TRUE(outside.allowed);
  EXPECT_FALSE(outside.egress.has_value());
  EXPECT_FALSE(outside.ingress.has_value());
  const Evaluation out = world.Evaluate("shop/web", kOutside4, "80/TCP");
  EXPECT_TRUE(out.egress.has_value());
  EXPECT_FALSE(out.ingress.has_value());
}

TEST(Evaluate, ScopeEverywhereJudgesPodsWithoutAnInterface) {
  const World world;
  const Flow flow = world.FlowOf("bank/far", "shop/web", "80/TCP");
  EXPECT_FALSE(Evaluate(world.snapshot(), flow, Scope::kLocal).egress.has_value());
  EXPECT_TRUE(Evaluate(world.snapshot(), flow, Scope::kEverywhere).egress.has_value());
}

TEST(Evaluate, AuditDeniedIsOfTheFlowAsAWhole) {
  World world;
  world.Apply(SluicePolicyYaml("shop", "try", "podSelector: {}, mode: Audit"));
  EXPECT_TRUE(world.Evaluate("bank/web", "shop/web", "80/TCP").audit_denied);
  world.Apply(PolicyYaml("bank", "out", "podSelector: {}, policyTypes: [Egress]"));
  const Evaluation cut = world.Evaluate("bank/web", "shop/web", "80/TCP");
  EXPECT_TRUE(cut.ingress->audit_denied);
  EXPECT_FALSE(cut.audit_denied) << "it is denied in truth";
}

}  // namespace
}  // namespace sluice::policy
