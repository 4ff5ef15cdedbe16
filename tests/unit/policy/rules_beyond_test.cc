// The numbered rules of docs/policy.md from 23 to 40 and from 53 on: cluster-wide kinds, Sluice's additions,
// quarantine.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/effect_name.h"
#include "tests/unit/policy/world.h"

namespace sluice::policy {
namespace {

TEST(RulesBeyond, Rule23_TheKubernetesKindHasNoExtras) {
  EXPECT_THAT(ParseError(PolicyYaml("shop", "p", "podSelector: {}, ingress: [{action: Deny}]")),
              testing::HasSubstr("spec.ingress[0].action"));
  EXPECT_THAT(ParseError(PolicyYaml("shop", "p", "podSelector: {}, mode: Audit")), testing::HasSubstr("spec.mode"));
}

// 24 to 28 are about the cluster-wide kinds of Kubernetes, which this version refuses completely.
class ClusterKinds : public testing::TestWithParam<std::tuple<const char*, const char*>> {};
TEST_P(ClusterKinds, Rules24To28_AreRefusedByName) {
  const auto [api, kind] = GetParam();
  const std::string error =
      ParseError(fmt::format("{{apiVersion: {}, kind: {}, metadata: {{name: x}}, spec: {{tier: "
                             "Admin, priority: 0, subject: {{namespaces: {{}}}}}}}}",
                             api, kind));
  EXPECT_THAT(error, testing::HasSubstr("kind"));
  EXPECT_THAT(error, testing::HasSubstr(kind));
}
INSTANTIATE_TEST_SUITE_P(
    RulesBeyond, ClusterKinds,
    testing::Values(std::tuple{"policy.networking.k8s.io/v1alpha2", "ClusterNetworkPolicy"},  // 24, 25, 26, 27, 28
                    std::tuple{"policy.networking.k8s.io/v1alpha1", "AdminNetworkPolicy"},    // 24
                    std::tuple{"policy.networking.k8s.io/v1alpha1", "BaselineAdminNetworkPolicy"}));  // 24

TEST(RulesBeyond, Rule29_DenyRulesSpareAWorkloadsOwnTraffic) {
  const World world =
      With(SluicePolicyYaml("shop", "p", "podSelector: {}, ingress: [{action: Deny}], egress: [{action: Deny}]"));
  EXPECT_TRUE(world.Allows("shop/db", "shop/db"));
  EXPECT_FALSE(world.Allows("shop/db", "shop/web"));
}

TEST(RulesBeyond, Rule31_ADenyingOrAuditingPolicyIsolatesToo) {
  for (const char* action : {"Deny", "Audit"}) {
    const World world = With(SluicePolicyYaml(
        "shop", "p", fmt::format("{}, ingress: [{{action: {}, ports: [{{port: 1}}]}}]", kSelectDb, action)));
    EXPECT_FALSE(world.Allows("shop/web", "shop/db", "1/TCP")) << action;
    EXPECT_FALSE(world.Allows("shop/web", "shop/db", "2/TCP")) << action;
    EXPECT_TRUE(world.Allows("shop/db", "shop/web", "2/TCP")) << action;
  }
}

TEST(RulesBeyond, Rule32_DenyBeatsAllowInAnyPolicy) {
  const World world = With(PolicyYaml("shop", "all", "podSelector: {}, ingress: [{}]") + "---\n" +
                           SluicePolicyYaml("shop", "but",
                                            fmt::format("{}, ingress: [{{from: [{{ipBlock: {{cidr: "
                                                        "10.0.1.0/24}}}}], action: Deny, ports: "
                                                        "[{{port: 80, endPort: 90}}]}}]",
                                                        kSelectDb)));
  EXPECT_FALSE(world.Allows("bank/web", "shop/db", "80/TCP"));
  EXPECT_FALSE(world.Allows("bank/vault", "shop/db", "90/TCP"));
  EXPECT_TRUE(world.Allows("bank/web", "shop/db", "91/TCP"));
  EXPECT_TRUE(world.Allows("bank/web", "shop/web", "80/TCP"));
  EXPECT_TRUE(world.Allows("shop/web", "shop/db", "80/TCP"));
}

TEST(RulesBeyond, Rule33_AuditRulesNeitherAllowNorDeny) {
  const World world = With(SluicePolicyYaml(
      "shop", "p",
      fmt::format("{}, ingress: [{{ports: [{{port: 1}}, {{port: 2}}]}}, {{action: Audit, ports: [{{port: "
                  "2}}, {{port: 3}}]}}]",
                  kSelectDb)));
  EXPECT_FALSE(world.Evaluate("shop/web", "shop/db", "1/TCP").audit_denied);
  const Evaluation allowed = world.Evaluate("shop/web", "shop/db", "2/TCP");
  EXPECT_TRUE(allowed.allowed);
  EXPECT_TRUE(allowed.audit_denied);
  EXPECT_EQ(allowed.ingress->contributions,
            (std::vector<Contribution>{
                {NetworkPolicy::Api::kSluice, {"shop", "p"}, "ingress[0]", Effect::kAllow, Effect::kAllow},
                {NetworkPolicy::Api::kSluice, {"shop", "p"}, "ingress[1]", Effect::kAudit, Effect::kDeny}}));
  const Evaluation denied = world.Evaluate("shop/web", "shop/db", "3/TCP");
  EXPECT_FALSE(denied.allowed);
  EXPECT_FALSE(denied.audit_denied);
}

TEST(RulesBeyond, Rule34_PoliciesInAuditEnforceNothing) {
  const World world = With(SluicePolicyYaml(
      "shop", "try",
      fmt::format("{}, mode: Audit, ingress: [{{ports: [{{port: 1}}]}}, {{action: Deny, ports: [{{port: 2}}]}}]",
                  kSelectDb)));
  const auto would = [&](const char* service) {
    const Evaluation answer = world.Evaluate("shop/web", "shop/db", service);
    EXPECT_TRUE(answer.allowed);
    EXPECT_EQ(answer.ingress->contributions.size(), 1U);
    EXPECT_EQ(answer.ingress->contributions[0].effect, Effect::kAudit);
    return std::tuple{answer.ingress->contributions[0].would, answer.ingress->contributions[0].rule,
                      answer.audit_denied};
  };
  EXPECT_EQ(would("1/TCP"), std::tuple(Effect::kAllow, "ingress[0]", false));
  EXPECT_EQ(would("2/TCP"), std::tuple(Effect::kDeny, "ingress[1]", true));
  EXPECT_EQ(would("3/TCP"), std::tuple(Effect::kDefaultDeny, "", true));
  EXPECT_TRUE(world.Evaluate("shop/db", "shop/web", "1/TCP").egress->contributions.empty()) << "not its direction";
}

TEST(RulesBeyond, Rule34_AuditIsJudgedBesideWhatIsEnforced) {
  const std::string enforced =
      PolicyYaml("shop", "real", fmt::format("{}, ingress: [{{ports: [{{port: 1}}]}}]", kSelectDb));
  const std::string audit = SluicePolicyYaml("shop", "try", fmt::format("{}, mode: Audit, ingress: []", kSelectDb));
  const World world = With(enforced + "---\n" + audit);
  const Evaluation allowed = world.Evaluate("shop/web", "shop/db", "1/TCP");
  EXPECT_TRUE(allowed.allowed);
  EXPECT_FALSE(allowed.audit_denied) << "an enforced rule would still allow it";
  const Evaluation denied = world.Evaluate("shop/web", "shop/db", "2/TCP");
  EXPECT_FALSE(denied.allowed);
  EXPECT_FALSE(denied.audit_denied);
  EXPECT_EQ(denied.ingress->contributions,
            (std::vector<Contribution>{
                {NetworkPolicy::Api::kKubernetes, {"shop", "real"}, "", Effect::kDefaultDeny, Effect::kAllow},
                {NetworkPolicy::Api::kSluice, {"shop", "try"}, "", Effect::kAudit, Effect::kDefaultDeny}}));
}

TEST(RulesBeyond, Rule35_TheDecidingRulesAreNamed) {
  const std::string policies =
      PolicyYaml("shop", "b",
                 fmt::format("{}, ingress: [{{ports: [{{port: 9}}]}}, {{ports: [{{port: 1}}]}}]", kSelectDb)) +
      "---\n" + PolicyYaml("shop", "a", "podSelector: {}, ingress: [{ports: [{port: 1}]}]") + "---\n" +
      SluicePolicyYaml("shop", "c", fmt::format("{}, ingress: [{{action: Deny, ports: [{{port: 4}}]}}]", kSelectDb));
  const World world = With(policies);
  const auto parts = [&](const char* service) {
    std::string text;
    const Evaluation answer = world.Evaluate("shop/web", "shop/db", service);
    for (const Contribution& part : answer.ingress->contributions) {
      text += fmt::format("{} {} {}; ", part.policy.name, part.rule, test::EffectName(part.effect));
    }
    return text;
  };
  EXPECT_EQ(parts("1/TCP"), "a ingress[0] ALLOW; b ingress[1] ALLOW; ");
  EXPECT_EQ(parts("2/TCP"), "a  DEFAULT_DENY; b  DEFAULT_DENY; c  DEFAULT_DENY; ");
  EXPECT_EQ(parts("4/TCP"), "c ingress[0] DENY; ");
}

TEST(RulesBeyond, Rule36_OnlyEnforcedEndsAreJudged) {
  const World world = With(PolicyYaml("bank", "p", "podSelector: {}, policyTypes: [Ingress, Egress]"));
  const Flow to_far = world.FlowOf("shop/web", "bank/far", "80/TCP");
  EXPECT_TRUE(world.Evaluate(to_far).allowed) << "bank/far is evaluated on its own node";
  EXPECT_FALSE(world.Evaluate(to_far).ingress.has_value());
  const Evaluation everywhere = Evaluate(world.snapshot(), to_far, Scope::kEverywhere);
  EXPECT_FALSE(everywhere.allowed);
  ASSERT_TRUE(everywhere.ingress.has_value());
  EXPECT_EQ(everywhere.ingress->contributions[0].effect, Effect::kDefaultDeny);
}

Quarantine Cut(const std::set<ObjectName>& workloads, const std::vector<std::string>& allow = {}) {
  Quarantine quarantine{.workloads = workloads, .allow = {}};
  for (const std::string& text : allow) quarantine.allow.push_back(Prefix::Parse(text).value());
  return quarantine;
}

bool Passes(const World& world, const Quarantine& quarantine, Flow flow, bool from_node = false) {
  flow.from_node = from_node;
  return Evaluate(world.snapshot(), flow, Scope::kLocal, quarantine).allowed;
}

TEST(RulesBeyond, Rule38_QuarantineCutsBothWaysWhateverElseIsTrue) {
  const World world =
      With(SluicePolicyYaml("shop", "open", fmt::format("{}, ingress: [{{}}], egress: [{{}}]", kSelectDb)));
  const Quarantine db = Cut({{"shop", "db"}});
  const auto passes = [&](const char* from, const char* to, bool from_node = false) {
    return Passes(world, db, world.FlowOf(from, to, "80/TCP"), from_node);
  };
  EXPECT_FALSE(passes("shop/web", "shop/db"));
  EXPECT_FALSE(passes("shop/db", "shop/web"));
  EXPECT_FALSE(passes("shop/db", kOutside4));
  EXPECT_FALSE(passes(kOutside6, "fd00::2"));
  EXPECT_FALSE(passes("shop/db", "shop/db")) << "itself, by way of the node";
  EXPECT_FALSE(passes(kNode4, "shop/db", true)) << "a probe";
  EXPECT_TRUE(passes("shop/web", "bank/vault")) << "others are free";
  // Only where the workload is local (36).
  EXPECT_TRUE(Passes(world, Cut({{"bank", "far"}}), world.FlowOf("shop/web", "bank/far", "80/TCP")));
}

TEST(RulesBeyond, Rule39_TheAllowListLeavesAPeerToThePolicies) {
  const World world =
      With(PolicyYaml("shop", "db", fmt::format("{}, ingress: [{{ports: [{{port: 80}}]}}]", kSelectDb)));
  const Quarantine db = Cut({{"shop", "db"}}, {"10.0.0.1/32", "10.0.0.254/32", "::/0"});
  EXPECT_TRUE(Passes(world, db, world.FlowOf("shop/web", "shop/db", "80/TCP")));
  EXPECT_TRUE(Passes(world, db, world.FlowOf("shop/db", "shop/web", "80/TCP")));
  EXPECT_FALSE(Passes(world, db, world.FlowOf("shop/web", "shop/db", "81/TCP"))) << "policy goes on deciding";
  EXPECT_TRUE(Passes(world, db, world.FlowOf(kNode4, "shop/db", "81/TCP"), true)) << "and rule 14 too";
  EXPECT_FALSE(Passes(world, db, world.FlowOf("bank/web", "shop/db", "80/TCP")));
  EXPECT_TRUE(Passes(world, db, world.FlowOf("fd00::1:1", "fd00::2", "80/TCP"))) << "families are apart";
  const Quarantine both = Cut({{"shop", "db"}, {"shop", "web"}}, {"10.0.0.1/32"});
  EXPECT_FALSE(Passes(world, both, world.FlowOf("shop/web", "shop/db", "80/TCP"))) << "db is not on web's list";
}

TEST(RulesBeyond, Rule40_WhereQuarantineDecidesNoPolicyIsAsked) {
  const World world = With(PolicyYaml("shop", "db", kSelectDb));
  const Evaluation answer =
      Evaluate(world.snapshot(), world.FlowOf("shop/web", "shop/db", "80/TCP"), Scope::kLocal, Cut({{"shop", "web"}}));
  EXPECT_FALSE(answer.allowed);
  EXPECT_TRUE(answer.quarantined);
  EXPECT_EQ(answer.egress, (Decision{.allowed = false}));
  EXPECT_FALSE(answer.ingress.has_value());
  EXPECT_FALSE(world.Evaluate("shop/web", "shop/db", "80/TCP").ingress->contributions.empty()) << "after a release";
}

// ---- 53 to 57: Sluice's ClusterNetworkPolicy ----

TEST(RulesBeyond, Rule53_SelectsPodsOfTheSelectedNamespaces) {
  World world = With(ClusterPolicyYaml(
      "p",
      "namespaceSelector: {matchLabels: {team: money}}, podSelector: {matchLabels: {tier: front}}, defaultDeny: true"));
  EXPECT_FALSE(world.Allows("shop/db", "bank/vault"));
  EXPECT_TRUE(world.Allows("shop/db", "bank/web")) << "another pod of the namespace";
  EXPECT_TRUE(world.Allows("shop/db", "shop/web")) << "the label, in another namespace";
  world.Apply("{apiVersion: v1, kind: Namespace, metadata: {name: shop, labels: {team: money}}}");
  EXPECT_FALSE(world.Allows("shop/db", "shop/web")) << "a namespace's labels take effect when they change";
  world.Apply(ClusterPolicyYaml("p", "namespaceSelector: {}, defaultDeny: true"));
  for (const char* to : {"shop/web", "shop/db", "bank/web", "bank/vault"})
    EXPECT_FALSE(world.Allows(kOutside4, to)) << to;
  EXPECT_TRUE(world.Allows("shop/web", "shop/web")) << "29";
  world.Delete(Kind::kSluiceClusterNetworkPolicy, {"", "p"});
  EXPECT_TRUE(world.Allows(kOutside4, "bank/vault"));
}

TEST(RulesBeyond, Rule53_NamedPortsAndProcessesMeanTheSame) {
  const World world = With(ClusterPolicyYaml(
      "p",
      "namespaceSelector: {}, defaultDeny: true, policyTypes: [Ingress, Egress], ingress: [{ports: [{port: http}]}], "
      "egress: [{processes: {binaries: [/bin/curl]}}]"));
  const auto allows = [&](const char* to, const char* service, const char* binary) {
    Flow flow = world.FlowOf("shop/web", to, service);
    flow.source_process = Process{.binary = binary};
    return world.Evaluate(flow).allowed;
  };
  EXPECT_TRUE(allows("bank/web", "8080/TCP", "/bin/curl"));
  EXPECT_FALSE(allows("bank/web", "80/TCP", "/bin/curl")) << "another pod's port of that name";
  EXPECT_FALSE(allows("bank/web", "8080/TCP", "/bin/wget"));
}

TEST(RulesBeyond, Rule54_APeerNamesItsNamespaces) {
  const std::string spec = "namespaceSelector: {}, defaultDeny: true, ingress: [{from: [";
  EXPECT_THAT(ParseError(ClusterPolicyYaml("p", spec + "{podSelector: {}}]}]")),
              testing::HasSubstr("spec.ingress[0].from[0].podSelector: needs namespaceSelector"));
  const World world = With(ClusterPolicyYaml(
      "p", spec + "{namespaceSelector: {matchLabels: {team: retail}}, podSelector: {matchLabels: {app: web}}}]}]"));
  EXPECT_TRUE(world.Allows("shop/web", "bank/vault"));
  EXPECT_FALSE(world.Allows("shop/db", "bank/vault"));
  EXPECT_FALSE(world.Allows("bank/web", "bank/vault"));
}

TEST(RulesBeyond, Rule55_WithoutADefaultDenyOnlyItsRulesCount) {
  const std::string guard =
      ClusterPolicyYaml("guard",
                        "namespaceSelector: {}, defaultDeny: false, ingress: [{ports: [{port: 9100}]}, "
                        "{action: Deny, ports: [{port: 22}]}]");
  World world = With(guard);
  EXPECT_TRUE(world.Allows("shop/web", "shop/db", "80/TCP"));
  EXPECT_TRUE(world.Evaluate("shop/web", "shop/db", "80/TCP").ingress->contributions.empty()) << "no policy isolates";
  EXPECT_FALSE(world.Allows("shop/web", "shop/db", "22/TCP"));
  EXPECT_FALSE(world.Allows(kOutside6, "fd00::2", "22/TCP"));
  world.Apply(PolicyYaml("shop", "nothing", "podSelector: {}"));
  EXPECT_FALSE(world.Allows("shop/web", "shop/db", "80/TCP")) << "isolated by another policy";
  EXPECT_TRUE(world.Allows("shop/web", "shop/db", "9100/TCP")) << "and allowed by this one";
  EXPECT_TRUE(world.Allows("shop/web", "bank/web", "80/TCP"));
  EXPECT_EQ(world.Evaluate("shop/web", "shop/db", "80/TCP").ingress->contributions,
            (std::vector<Contribution>{
                {NetworkPolicy::Api::kKubernetes, {"shop", "nothing"}, "", Effect::kDefaultDeny, Effect::kAllow}}));
}

TEST(RulesBeyond, Rule56_ADenyWinsWhicheverPolicyHasIt) {
  World world = With(ClusterPolicyYaml("guard",
                                       "namespaceSelector: {}, defaultDeny: false, ingress: [{action: Deny, "
                                       "ports: [{port: 22}]}, {ports: [{port: 80}]}]") +
                     "---\n" + PolicyYaml("shop", "all", "podSelector: {}, ingress: [{}]"));
  EXPECT_FALSE(world.Allows("shop/web", "shop/db", "22/TCP")) << "a namespace cannot allow what it denies";
  EXPECT_TRUE(world.Allows("shop/web", "shop/db", "80/TCP"));
  world.Apply(SluicePolicyYaml("shop", "closed", "podSelector: {}, ingress: [{action: Deny, ports: [{port: 80}]}]"));
  EXPECT_FALSE(world.Allows("shop/web", "shop/db", "80/TCP")) << "but deny what it allows";
}

TEST(RulesBeyond, Rule57_AnAuditWithoutADefaultDenyNotesItsRules) {
  const World world = With(ClusterPolicyYaml(
      "try",
      "namespaceSelector: {}, defaultDeny: false, mode: Audit, ingress: [{ports: [{port: 1}]}, {action: Deny, "
      "ports: [{port: 2}]}]"));
  const auto notes = [&](const char* service) {
    std::string text;
    const Evaluation answer = world.Evaluate("shop/web", "shop/db", service);
    EXPECT_TRUE(answer.allowed);
    for (const Contribution& part : answer.ingress->contributions) {
      text += fmt::format("{} {} ", part.policy.ToString(), test::EffectName(part.would));
    }
    return text + (answer.audit_denied ? "audit-denied" : "");
  };
  EXPECT_EQ(notes("1/TCP"), "try ALLOW ");
  EXPECT_EQ(notes("2/TCP"), "try DENY audit-denied");
  EXPECT_EQ(notes("3/TCP"), "");
}

}  // namespace
}  // namespace sluice::policy
