#include "ctrl/sluice/policy_text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "policy/resource/parser.h"

namespace sluice::client {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

policy::NetworkPolicy Parse(const std::string& api, const std::string& spec) {
  const auto parsed = policy::ParseResources(
      "test",
      "{apiVersion: " + api + ", kind: NetworkPolicy, metadata: {name: p, namespace: shop}, spec: " + spec + "}");
  EXPECT_TRUE(parsed.ok()) << parsed.status();
  return parsed.ok() ? *parsed->front().policy : policy::NetworkPolicy();
}

TEST(PolicyText, RulesOfKubernetes) {
  const auto policy = Parse("networking.k8s.io/v1", R"({
    podSelector: {}, policyTypes: [Ingress, Egress],
    ingress: [
      {from: [{podSelector: {matchLabels: {app: web}}}, {ipBlock: {cidr: 10.0.0.0/8, except: [10.1.0.0/16]}}],
       ports: [{port: 5432}, {port: 8000, endPort: 8010, protocol: UDP}, {port: http}, {protocol: SCTP}]},
      {from: [{namespaceSelector: {matchLabels: {team: a}}, podSelector: {matchExpressions: [
        {key: tier, operator: NotIn, values: [db]}, {key: canary, operator: Exists}]}}, {namespaceSelector: {}}]}],
    egress: [{}]})");
  EXPECT_THAT(
      RuleTexts(policy, policy::Direction::kIngress),
      ElementsAre("ingress[0]: allow TCP 5432; UDP 8000-8010; TCP port http; all of SCTP from pods with app=web "
                  "of this namespace; 10.0.0.0/8 except 10.1.0.0/16",
                  "ingress[1]: allow everything from pods with tier!=db, canary of namespaces with team=a; all "
                  "pods of all namespaces"));
  EXPECT_THAT(RuleTexts(policy, policy::Direction::kEgress), ElementsAre("egress[0]: allow everything to everybody"));
}

TEST(PolicyText, ActionsAndProcesses) {
  const auto policy = Parse("sluice.dev/v1alpha1", R"({podSelector: {}, policyTypes: [Egress], egress: [
      {action: Deny, ports: [{port: 22}]},
      {processes: {binaries: [/usr/bin/psql, "/opt/**"], ancestors: [/bin/bash]}}]})");
  EXPECT_THAT(RuleTexts(policy, policy::Direction::kEgress),
              ElementsAre("egress[0]: deny TCP 22 to everybody",
                          "egress[1]: allow everything to everybody, by /usr/bin/psql, /opt/**, below /bin/bash"));
  EXPECT_THAT(RuleTexts(policy, policy::Direction::kIngress), IsEmpty());
}

TEST(PolicyText, Selectors) {
  EXPECT_EQ(SelectorText({}), "everything");
  using Operator = policy::Selector::Operator;
  EXPECT_EQ(SelectorText({{{"a", Operator::kIn, {"1", "2"}}, {"b", Operator::kDoesNotExist, {}}}}),
            "a in (1, 2), no b");
}

}  // namespace
}  // namespace sluice::client
