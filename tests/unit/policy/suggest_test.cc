#include "policy/network/suggest.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/random_policy.h"
#include "tests/unit/policy/world.h"

namespace sluice::policy {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

// Applies what is suggested for a denied flow.
Suggestions ApplySuggestions(World& world, const Flow& flow) {
  const Suggestions suggested = Suggest(world.snapshot(), flow);
  for (const Suggestion& one : suggested.policies) world.Apply(one.yaml);
  return suggested;
}

TEST(Suggest, NothingForWhatIsAllowed) {
  World world;
  const Suggestions none = Suggest(world.snapshot(), world.FlowOf("shop/web", "shop/db", "5432/TCP"));
  EXPECT_THAT(none.policies, IsEmpty());
  EXPECT_THAT(none.notes, IsEmpty());
}

TEST(Suggest, APolicyOfKubernetesForAnIsolatedWorkload) {
  World world = With(PolicyYaml("shop", "db", std::string(kSelectDb) + ", ingress: []"));
  const Suggestions suggested = ApplySuggestions(world, world.FlowOf("shop/web", "shop/db", "5432/TCP"));
  ASSERT_THAT(suggested.policies, SizeIs(1));
  EXPECT_EQ(suggested.policies[0].subject.ToString(), "shop/db");
  EXPECT_EQ(suggested.policies[0].yaml, R"(apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: allow-tcp-5432-db-from-web
  namespace: shop
spec:
  podSelector: {matchLabels: {"app": "db"}}
  policyTypes: [Ingress]
  ingress:
  - from:
    - podSelector: {matchLabels: {"app": "web", "tier": "front"}}
    ports:
    - {protocol: TCP, port: 5432}
)");
  EXPECT_TRUE(world.Allows("shop/web", "shop/db", "5432/TCP"));
  EXPECT_FALSE(world.Allows("shop/web", "shop/db", "5433/TCP"));
  EXPECT_FALSE(world.Allows("shop/web", "shop/db", "5432/UDP"));
  EXPECT_FALSE(world.Allows("bank/web", "shop/db", "5432/TCP")) << "the same label in another namespace";
}

TEST(Suggest, BothEnds) {
  World world = With(PolicyYaml("shop", "db", "podSelector: {}, policyTypes: [Ingress, Egress]") + "---\n" +
                     PolicyYaml("bank", "all", "podSelector: {}, policyTypes: [Egress]"));
  const Suggestions suggested = ApplySuggestions(world, world.FlowOf("bank/web", "shop/db", "53/UDP"));
  ASSERT_THAT(suggested.policies, SizeIs(2));
  EXPECT_EQ(suggested.policies[0].direction, Direction::kEgress);
  EXPECT_EQ(suggested.policies[0].subject.ToString(), "bank/web");
  EXPECT_EQ(suggested.policies[1].direction, Direction::kIngress);
  EXPECT_TRUE(world.Allows("bank/web", "shop/db", "53/UDP"));
  EXPECT_FALSE(world.Allows("bank/vault", "shop/db", "53/UDP"));
  EXPECT_FALSE(world.Allows("bank/web", "shop/web", "53/UDP"));
}

TEST(Suggest, AddressesOutside) {
  World world = With(PolicyYaml("shop", "db", "podSelector: {}, policyTypes: [Ingress, Egress]"));
  for (const char* const outside : {kOutside4, kOutside6, kNode4}) {
    const bool v6 = outside == kOutside6;
    const Flow flow = world.FlowOf(v6 ? "fd00::2" : "10.0.0.2", outside, "443/TCP");
    ASSERT_FALSE(world.Evaluate(flow).allowed);
    ASSERT_THAT(ApplySuggestions(world, flow).policies, SizeIs(1)) << outside;
    EXPECT_TRUE(world.Evaluate(flow).allowed) << outside;
  }
  EXPECT_FALSE(world.Allows("10.0.0.2", "203.0.113.8", "443/TCP")) << "only this address";
}

// A policy of Kubernetes for the label app=web would isolate the other pod that has it.
TEST(Suggest, IsolatesNobodyElse) {
  World world = With(PolicyYaml("shop", "web", "podSelector: {matchLabels: {tier: front}}, ingress: []"));
  world.Apply(R"(
apiVersion: sluice.dev/v1alpha1
kind: Workload
metadata: {name: web, namespace: shop, labels: {app: web, tier: front}}
spec: {netns: /run/netns/shop-web, ips: [10.0.0.1]}
---
apiVersion: sluice.dev/v1alpha1
kind: Workload
metadata: {name: web-canary, namespace: shop, labels: {app: web, tier: front, track: canary}}
spec: {netns: /run/netns/shop-canary, ips: [10.0.0.4]}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: web, namespace: shop}
spec: {podSelector: {matchExpressions: [{key: app, operator: In, values: [web]}, {key: track, operator: DoesNotExist}]}}
)");
  ASSERT_FALSE(world.Allows("shop/db", "shop/web"));
  ASSERT_TRUE(world.Allows("bank/web", "shop/web-canary"));
  const Suggestions suggested = ApplySuggestions(world, world.FlowOf("shop/db", "shop/web", "80/TCP"));
  ASSERT_THAT(suggested.policies, SizeIs(1));
  EXPECT_THAT(suggested.policies[0].yaml, HasSubstr("kind: ClusterNetworkPolicy"));
  EXPECT_THAT(suggested.policies[0].yaml, HasSubstr("defaultDeny: false"));
  EXPECT_THAT(suggested.notes, ElementsAre("the labels of shop/web also mean shop/web-canary"));
  EXPECT_TRUE(world.Allows("shop/db", "shop/web"));
  EXPECT_TRUE(world.Allows("bank/web", "shop/web-canary")) << "still not isolated";
  EXPECT_FALSE(world.Allows("bank/web", "shop/web"));
}

TEST(Suggest, OnlyTheProgram) {
  World world = With(PolicyYaml("shop", "db", std::string(kSelectDb) + ", policyTypes: [Egress]"));
  Flow flow = world.FlowOf("shop/db", "bank/web", "8080/TCP");
  flow.source_process = Process{.binary = "/usr/bin/pg \"dump\"", .script = "", .ancestors = {}};
  const Suggestions suggested = ApplySuggestions(world, flow);
  ASSERT_THAT(suggested.policies, SizeIs(1));
  EXPECT_THAT(suggested.policies[0].yaml, HasSubstr("apiVersion: sluice.dev/v1alpha1\nkind: NetworkPolicy"));
  EXPECT_TRUE(world.Evaluate(flow).allowed);
  flow.source_process->binary = "/usr/bin/curl";
  EXPECT_FALSE(world.Evaluate(flow).allowed);
  Flow other = world.FlowOf("bank/web", "bank/vault", "1/TCP");
  other.source_process = Process{.binary = "/usr/bin/curl", .script = "", .ancestors = {}};
  world.Apply(PolicyYaml("bank", "closed", "podSelector: {}, ingress: []"));
  const Suggestions at_vault = Suggest(world.snapshot(), other);
  ASSERT_THAT(at_vault.policies, SizeIs(1));
  EXPECT_THAT(at_vault.policies[0].yaml, Not(HasSubstr("curl")));
  EXPECT_THAT(at_vault.notes, ElementsAre("no rule for ingress can name /usr/bin/curl, which is at the other end"));
  flow.source_process->binary = "/opt/*/run";
  EXPECT_THAT(Suggest(world.snapshot(), flow).notes, ElementsAre("no pattern means the program /opt/*/run alone"));
}

TEST(Suggest, NothingAgainstADenyRule) {
  World world = With(SluicePolicyYaml("shop", "db", std::string(kSelectDb) + ", ingress: [{action: Deny}]"));
  const Suggestions suggested = Suggest(world.snapshot(), world.FlowOf("shop/web", "shop/db", "1/TCP"));
  EXPECT_THAT(suggested.policies, IsEmpty());
  EXPECT_THAT(suggested.notes,
              ElementsAre("NetworkPolicy shop/db ingress[0] denies it, which no rule that allows can change"));
}

TEST(Suggest, NothingWhereNoRuleIsExact) {
  World world = With(PolicyYaml("shop", "db", std::string(kSelectDb) + ", ingress: []"));
  const Suggestions icmp = Suggest(world.snapshot(), world.FlowOf("shop/web", "shop/db", "1"));
  EXPECT_THAT(icmp.policies, IsEmpty());
  EXPECT_THAT(icmp.notes, ElementsAre(HasSubstr("ICMP: only a rule for all protocols and ports")));
  const Quarantine quarantine{.workloads = {{"shop", "db"}}, .allow = {}};
  const Suggestions stopped = Suggest(world.snapshot(), world.FlowOf("shop/web", "shop/db", "80/TCP"), quarantine);
  EXPECT_THAT(stopped.notes, ElementsAre("quarantine stops it, whatever policies say"));
}

TEST(Suggest, LabelsOfOneRevisionAreNotUsed) {
  World world = With(PolicyYaml("shop", "all", "podSelector: {}") + R"(---
apiVersion: sluice.dev/v1alpha1
kind: Workload
metadata: {name: db, namespace: shop, labels: {app: db, pod-template-hash: 5f6d8}}
spec: {netns: /run/netns/shop-db, ips: [10.0.0.2]}
)");
  const Suggestions suggested = ApplySuggestions(world, world.FlowOf("shop/web", "shop/db", "1/TCP"));
  ASSERT_THAT(suggested.policies, SizeIs(1));
  EXPECT_THAT(suggested.policies[0].yaml, Not(HasSubstr("5f6d8")));
  EXPECT_TRUE(world.Allows("shop/web", "shop/db", "1/TCP"));
}

// In random scenarios: what is suggested parses, allows the flow, and changes no flow between pods that its selectors
// do not mean, or at another port.
TEST(Suggest, AllowsTheFlowAndNothingElse) {
  constexpr int kScenarios = 150;
  int suggested_ones = 0;
  test::RandomPolicy random(7);
  for (int i = 0; i < kScenarios; ++i) {
    const auto before = random.NextSnapshot();
    for (int j = 0; j < 20; ++j) {
      const Flow flow = random.NextFlow(*before);
      const Suggestions suggested = Suggest(*before, flow);
      if (suggested.policies.empty()) continue;
      ++suggested_ones;
      ResourceMap resources = random.resources();
      for (const Suggestion& one : suggested.policies) {
        const auto parsed = ParseResources("suggestion", one.yaml);
        ASSERT_TRUE(parsed.ok()) << parsed.status() << "\n" << one.yaml;
        ASSERT_THAT(*parsed, SizeIs(1));
        resources.insert_or_assign(parsed->front().id, parsed->front());
      }
      const auto built = Snapshot::Build(resources, random.bindings(), before->node_addresses, before.get());
      ASSERT_TRUE(built.ok()) << built.status();
      const Snapshot& after = **built;
      EXPECT_TRUE(Evaluate(after, flow, Scope::kEverywhere).allowed) << suggested.policies.front().yaml;
      for (int k = 0; k < 20; ++k) {
        const Flow other = random.NextFlow(*before);
        const bool was = Evaluate(*before, other, Scope::kEverywhere).allowed;
        const bool is = Evaluate(after, other, Scope::kEverywhere).allowed;
        EXPECT_FALSE(was && !is) << "denies anew\n" << suggested.policies.front().yaml;
        if (other.protocol == flow.protocol && other.port == flow.port) continue;
        EXPECT_EQ(was, is) << "another port\n" << suggested.policies.front().yaml;
      }
    }
  }
  EXPECT_GT(suggested_ones, 100) << "the scenarios deny too little";
}

}  // namespace
}  // namespace sluice::policy
