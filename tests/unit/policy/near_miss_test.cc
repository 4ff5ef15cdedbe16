#include "policy/network/near_miss.h"

#include <gmock/gmock.h>

#include "tests/unit/policy/world.h"

namespace sluice::policy {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

using Lines = std::vector<std::string>;

// For each: "shop/db ingress[0]", then its differences.
Lines Misses(const World& world, const Flow& flow, Direction direction) {
  Lines lines;
  for (const NearMiss& miss : NearMisses(world.snapshot(), flow, direction)) {
    lines.push_back(miss.rule.policy.ToString() + " " + miss.rule.rule);
    lines.insert(lines.end(), miss.differences.begin(), miss.differences.end());
  }
  return lines;
}

Lines Ingress(const World& world, const std::string& from, const std::string& to, const std::string& service) {
  return Misses(world, world.FlowOf(from, to, service), Direction::kIngress);
}

// The differences for shop/db's only ingress rule.
Lines OfRule(const std::string& rule, const std::string& from, const std::string& service) {
  World world;
  world.Apply(SluicePolicyYaml("shop", "db", "podSelector: {matchLabels: {app: db}}, ingress: [" + rule + "]"));
  Lines lines = Ingress(world, from, "shop/db", service);
  if (!lines.empty()) lines.erase(lines.begin());
  return lines;
}

TEST(NearMiss, FewestDifferencesFirstAndAtMostThree) {
  World world;
  world.Apply(PolicyYaml("shop", "a", R"(podSelector: {}, ingress: [
      {from: [{podSelector: {matchLabels: {app: api}}}], ports: [{port: 5432}]},
      {from: [{podSelector: {matchLabels: {app: api, tier: back}}}], ports: [{port: 5432}]},
      {from: [{podSelector: {matchLabels: {app: web}}}], ports: [{port: 5432}]}])"));
  world.Apply(PolicyYaml("shop", "b", "podSelector: {}, ingress: [{ports: [{port: 1}]}]"));
  EXPECT_THAT(Ingress(world, "shop/web", "shop/db", "9000/TCP"),
              ElementsAre("shop/a ingress[2]", "port: 9000/TCP is not among 5432/TCP",  //
                          "shop/b ingress[0]", "port: 9000/TCP is not among 1/TCP",     //
                          "shop/a ingress[0]", "peer: shop/web has the label app=web, and the rule asks for app=api",
                          "port: 9000/TCP is not among 5432/TCP"));
}

TEST(NearMiss, OnlyRulesThatCouldAllowIt) {
  World world;
  const std::string rules = "ingress: [{action: Deny, ports: [{port: 1}]}, {action: Audit, ports: [{port: 1}]}]";
  world.Apply(SluicePolicyYaml("shop", "no-allow", "podSelector: {}, " + rules));
  world.Apply(SluicePolicyYaml("shop", "audit", "mode: Audit, podSelector: {}, ingress: [{ports: [{port: 1}]}]"));
  world.Apply(PolicyYaml("shop", "others", "podSelector: {matchLabels: {app: web}}, ingress: [{ports: [{port: 1}]}]"));
  world.Apply(PolicyYaml("shop", "egress", "podSelector: {}, policyTypes: [Egress], egress: [{ports: [{port: 1}]}]"));
  EXPECT_THAT(Ingress(world, "shop/web", "shop/db", "80/TCP"), IsEmpty());
  EXPECT_THAT(Ingress(world, "shop/web", kOutside4, "80/TCP"), IsEmpty()) << "no pod";
  EXPECT_THAT(Misses(world, world.FlowOf("shop/db", "shop/web", "80/TCP"), Direction::kEgress),
              ElementsAre("shop/egress egress[0]", "port: 80/TCP is not among 1/TCP"));
  world.Apply(PolicyYaml("shop", "open", "podSelector: {}, ingress: [{}]"));
  EXPECT_THAT(Ingress(world, "shop/web", "shop/db", "80/TCP"), IsEmpty()) << "it is allowed";
}

TEST(NearMiss, Peers) {
  const auto of = [](const std::string& peers, const std::string& from) {
    return OfRule("{from: [" + peers + "]}", from, "80/TCP");
  };
  EXPECT_THAT(of("{podSelector: {matchLabels: {app: web}}}", "bank/web"),
              ElementsAre("peer: bank/web is not in namespace shop"));
  EXPECT_THAT(of("{namespaceSelector: {matchLabels: {team: retail}}}", "bank/web"),
              ElementsAre("peer: namespace bank has the label team=money, and the rule asks for team=retail"));
  EXPECT_THAT(of("{podSelector: {matchLabels: {app: web}}}", kOutside4),
              ElementsAre("peer: 203.0.113.7 is not a workload or pod, and the rule asks for one"));
  EXPECT_THAT(of("{ipBlock: {cidr: 10.0.0.0/8, except: [10.0.1.0/24]}}", "bank/web"),
              ElementsAre("peer: 10.0.1.1 is in 10.0.1.0/24, which the rule excludes from 10.0.0.0/8"));
  EXPECT_THAT(of("{ipBlock: {cidr: 192.0.2.0/24}}", kOutside4),
              ElementsAre("peer: 203.0.113.7 is not in 192.0.2.0/24"));
  EXPECT_THAT(of("{podSelector: {matchLabels: {a: b, c: d}}}, {podSelector: {matchExpressions: "
                 "[{key: tier, operator: NotIn, values: [front, back]}]}}",
                 "shop/web"),
              ElementsAre("peer: shop/web has the label tier=front, and the rule asks for tier notin (front, back)"))
      << "of the peer that comes nearest";
  EXPECT_THAT(
      of("{podSelector: {matchExpressions: [{key: x, operator: Exists}, {key: app, operator: DoesNotExist}, "
         "{key: app, operator: In, values: [a, b, c, d, e, f]}]}}",
         "shop/web"),
      ElementsAre("peer: shop/web has no label x, and the rule asks for x",
                  "peer: shop/web has the label app=web, and the rule asks for !app",
                  "peer: shop/web has the label app=web, and the rule asks for app in (a, b, c, d and 2 more)"));
}

TEST(NearMiss, Ports) {
  EXPECT_THAT(OfRule("{ports: [{port: 5432}, {port: 80, endPort: 90}, {protocol: UDP}, {port: sql}, {port: http}]}",
                     "shop/web", "9/TCP"),
              ElementsAre("port: 9/TCP is not among 5432/TCP, 80-90/TCP, UDP, sql (5432/TCP) and 1 more"));
  EXPECT_THAT(OfRule("{ports: [{port: http}]}", "shop/web", "80/TCP"),
              ElementsAre("port: 80/TCP is not among http/TCP (the destination has no port of this name)"));
  EXPECT_THAT(OfRule("{ports: [{port: 53}]}", "shop/web", "53/UDP"), ElementsAre("port: 53/UDP is not among 53/TCP"));
  EXPECT_THAT(OfRule("{ports: [{port: 53}]}", "shop/web", "1"), ElementsAre("port: ICMP is not among 53/TCP"));
}

TEST(NearMiss, Processes) {
  World world;
  world.Apply(
      SluicePolicyYaml("shop", "web", R"(podSelector: {matchLabels: {app: web}}, policyTypes: [Egress], egress: [
      {processes: {binaries: [/usr/bin/psql, "/opt/**"], ancestors: [/usr/sbin/sshd]}}])"));
  Flow flow = world.FlowOf("shop/web", "shop/db", "80/TCP");
  EXPECT_THAT(
      Misses(world, flow, Direction::kEgress),
      ElementsAre("shop/web egress[0]", "process: it is not known, and the rule asks for /usr/bin/psql, /opt/**",
                  "ancestor: not all are known, and the rule asks for /usr/sbin/sshd"));
  flow.source_process = Process{.binary = "/usr/bin/curl"};
  EXPECT_THAT(Misses(world, flow, Direction::kEgress),
              ElementsAre("shop/web egress[0]", "process: /usr/bin/curl is not among /usr/bin/psql, /opt/**",
                          "ancestor: the process has none among /usr/sbin/sshd"));
  flow.source_process->ancestors = {"/usr/sbin/sshd"};
  EXPECT_THAT(Misses(world, flow, Direction::kEgress),
              ElementsAre("shop/web egress[0]", "process: /usr/bin/curl is not among /usr/bin/psql, /opt/**"));
}

}  // namespace
}  // namespace sluice::policy
