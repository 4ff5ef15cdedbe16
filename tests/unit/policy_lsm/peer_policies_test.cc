// network.matchPeers in the packet path: the evaluator of network policies, over what the policies become there, says
// what the reference evaluator of KubeArmor policies says.
#include "policy/lsm/peer_policies.h"

#include <gmock/gmock.h>

#include <random>

#include "policy/lsm/parser.h"
#include "policy/network/compiler.h"
#include "policy/network/evaluate.h"
#include "tests/unit/policy_lsm/policies.h"

namespace sluice::policy::lsm {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr char kPods[] =
    "{apiVersion: sluice.dev/v1alpha1, kind: Workload, metadata: {name: web, namespace: shop, labels: {app: web, tier: "
    "front}}, spec: {hostInterface: v1, ips: [10.9.0.1]}}\n---\n"
    "{apiVersion: sluice.dev/v1alpha1, kind: Workload, metadata: {name: db, namespace: shop, labels: {app: db}}, spec: "
    "{hostInterface: v2, ips: [10.9.0.2]}}\n---\n"
    "{apiVersion: sluice.dev/v1alpha1, kind: Workload, metadata: {name: job, namespace: ops, labels: {app: web}}, "
    "spec: "
    "{hostInterface: v3, ips: [10.9.0.3]}}\n---\n";

std::string Doc(const std::string& spec, const std::string& name = "p", const std::string& kind = "KubeArmorPolicy") {
  const std::string ns = kind == "KubeArmorPolicy" ? ", namespace: shop" : "";
  return "{apiVersion: security.kubearmor.com/v1, kind: " + kind + ", metadata: {name: " + name + ns + "}, spec: {" +
         spec + "}}\n---\n";
}
std::string Posture(const std::string& ns, const std::string& posture) {
  return "{apiVersion: v1, kind: Namespace, metadata: {name: " + ns +
         ", annotations: {kubearmor-network-posture: " + posture + "}}}\n---\n";
}

struct World {
  ResourceMap resources;
  std::shared_ptr<const Snapshot> snapshot;
};

World WorldOf(const std::string& text) {
  World world;
  const auto parsed = ParseResources("f.yaml", kPods + text, {.more_kinds = KindParsers()});
  EXPECT_TRUE(parsed.ok()) << parsed.status();
  if (!parsed.ok()) return world;
  std::map<ObjectName, Binding> bindings;
  std::uint32_t number = 0;
  for (const Resource& resource : *parsed) {
    world.resources[resource.id] = resource;
    if (!resource.workload) continue;
    ++number;
    bindings[resource.id.name] = {.ifindex = number, .endpoint = number, .ips = resource.workload->ips};
  }
  world.snapshot = *Snapshot::Build(world.resources, bindings, {});
  return world;
}

struct Contacting {
  std::string program;  // empty: not known
  std::string to = "192.0.2.1";
  std::uint16_t port = 80;
  std::uint8_t protocol = kTcp;
  std::string from = "10.9.0.1";
};

Evaluation Send(const World& world, const Contacting& contacting) {
  Flow flow{.source = *Address::Parse(contacting.from),
            .destination = *Address::Parse(contacting.to),
            .protocol = contacting.protocol,
            .port = contacting.port};
  if (!contacting.program.empty()) flow.source_process = Process{.binary = contacting.program};
  return Evaluate(*world.snapshot, flow, Scope::kLocal);
}

// "allowed", "denied p spec.network.matchPeers[0]", "audited p spec....".
std::string Answer(const World& world, const Contacting& contacting) {
  const Evaluation evaluation = Send(world, contacting);
  std::string text = !evaluation.allowed ? "denied" : evaluation.audit_denied ? "audited" : "allowed";
  for (const Contribution& part : evaluation.egress->contributions) text += " " + part.policy.name + " " + part.rule;
  return text;
}

TEST(PeerPolicies, ABlockRuleIsForItsProgramsPeersAndPorts) {
  const World world = WorldOf(
      Doc("selector: {matchLabels: {app: web}}, network: {matchPeers: [{cidr: 192.0.2.0/24, port: 80, endPort: 90, "
          "protocol: tcp, fromSource: [{path: /usr/bin/nc}]}]}"));
  const std::string denied = "denied p spec.network.matchPeers[0]";
  EXPECT_EQ(Answer(world, {.program = "/usr/bin/nc"}), denied);
  EXPECT_EQ(Answer(world, {.program = "/usr/bin/nc", .port = 90}), denied);
  EXPECT_EQ(Answer(world, {.program = "/usr/bin/curl"}), "allowed");
  EXPECT_EQ(Answer(world, {.program = "/usr/bin/nc", .to = "192.0.3.1"}), "allowed");
  EXPECT_EQ(Answer(world, {.program = "/usr/bin/nc", .port = 91}), "allowed");
  EXPECT_EQ(Answer(world, {.program = "/usr/bin/nc", .protocol = kUdp}), "allowed");
  EXPECT_EQ(Answer(world, {.program = "/usr/bin/nc", .from = "10.9.0.2"}), "allowed") << "another pod";
  EXPECT_EQ(Answer(world, {.program = "/usr/bin/nc", .from = "10.9.0.3"}), "allowed") << "another namespace";
  EXPECT_EQ(Answer(world, {}), denied) << "a program that is not known may be one of them";
}

TEST(PeerPolicies, TheMorePreciseRuleDecides) {
  const World world = WorldOf(
      Doc("network: {matchPeers: [{cidr: 10.0.0.0/8}, {cidr: 10.1.0.0/16, action: Allow, fromSource: [{path: /a}]}, "
          "{cidr: 10.1.1.0/24, fromSource: [{path: /a}]}]}"));
  EXPECT_EQ(Answer(world, {.program = "/a", .to = "10.1.2.3"}), "allowed");
  EXPECT_EQ(Answer(world, {.program = "/b", .to = "10.1.2.3"}), "denied p spec.network.matchPeers[0]");
  EXPECT_EQ(Answer(world, {.program = "/a", .to = "10.1.1.3"}), "denied p spec.network.matchPeers[2]");
}

TEST(PeerPolicies, AnAllowListMeetsThePostureOfTheWorkloadsNamespace) {
  const std::string list = "network: {matchPeers: [{cidr: 10.0.0.0/8, action: Allow}]}";
  EXPECT_EQ(Answer(WorldOf(Doc(list)), {.program = "/a"}), "audited p spec.network.matchPeers[0] (default posture)");
  const World blocks = WorldOf(Posture("shop", "block") + Doc(list));
  EXPECT_EQ(Answer(blocks, {.program = "/a"}), "denied p spec.network.matchPeers[0] (default posture)");
  EXPECT_EQ(Answer(blocks, {.program = "/a", .to = "10.1.1.1"}), "allowed");
  // Each namespace has its own, and workloads with the same policy do not share the other's rules.
  const World cluster = WorldOf(Posture("shop", "block") + Doc(list, "c", "KubeArmorClusterPolicy"));
  EXPECT_EQ(Answer(cluster, {.program = "/a"}), "denied c spec.network.matchPeers[0] (default posture)");
  EXPECT_EQ(Answer(cluster, {.program = "/a", .from = "10.9.0.3"}),
            "audited c spec.network.matchPeers[0] (default posture)");
  const auto compiled = Compile(cluster.snapshot);
  ASSERT_TRUE(compiled.ok()) << compiled.status();
  EXPECT_EQ(compiled->rulesets.size(), 2U);
}

TEST(PeerPolicies, NetworkPoliciesAndTheseMustBothLetItPass) {
  const std::string isolates =
      "{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {name: net, namespace: shop}, spec: "
      "{podSelector: {}, policyTypes: [Egress], egress: [{to: [{ipBlock: {cidr: 192.0.2.0/24}}]}]}}\n---\n";
  const World world = WorldOf(isolates + Doc("network: {matchPeers: [{cidr: 0.0.0.0/0, action: Allow}, {cidr: "
                                             "192.0.2.9/32}]}"));
  EXPECT_EQ(Answer(world, {.program = "/a"}), "allowed net egress[0]");
  EXPECT_EQ(Answer(world, {.program = "/a", .to = "198.51.100.1"}), "denied net ") << "Allow does not open it";
  EXPECT_EQ(Answer(world, {.program = "/a", .to = "192.0.2.9"}), "denied p spec.network.matchPeers[1]");
}

TEST(PeerPolicies, SelectorsThatNoSinglePolicyCanSayAreSeveral) {
  const std::string peers = "network: {matchPeers: [{cidr: 192.0.2.0/24}]}";
  const World world = WorldOf(
      Doc("selector: {matchExpressions: [{key: label, operator: In, values: [app=db, tier=front]}]}, " + peers));
  EXPECT_FALSE(Send(world, {.program = "/a"}).allowed);
  EXPECT_FALSE(Send(world, {.program = "/a", .from = "10.9.0.2"}).allowed);
  const World negated = WorldOf(
      Doc("selector: {matchExpressions: [{key: label, operator: NotIn, values: [app=db, tier=front]}]}, " + peers));
  EXPECT_TRUE(Send(negated, {.program = "/a"}).allowed);
  EXPECT_TRUE(Send(negated, {.program = "/a", .from = "10.9.0.2"}).allowed);
}

std::string Refusal(const std::string& spec, Policy::Kind kind = Policy::Kind::kPods) {
  return Message(PeerPoliciesOf(*PolicyOf(spec, {.kind = kind})).status());
}

TEST(PeerPolicies, WhatThePacketPathCannotDoIsNamed) {
  EXPECT_EQ(Refusal("{network: {matchPeers: [{cidr: 10.0.0.0/8, pts: true}]}}"),
            "line 1: spec.network.matchPeers[0]: pts: the packet path does not know terminals");
  EXPECT_EQ(
      Refusal("{network: {matchPeers: [{cidr: 10.0.0.0/8, fromSource: [{path: /" + std::string(600, 'a') + "}]}]}}"),
      "line 1: spec.network.matchPeers[0]: fromSource: 601 bytes: programs are known to the packet path by paths "
      "of at most 511");
  EXPECT_THAT(Refusal("{network: {matchPeers: [{cidr: 10.0.0.0/8, fromSource: [{path: /a}]}]}}", Policy::Kind::kHost),
              HasSubstr("the packet path has rules for pods only"));
  EXPECT_THAT(Refusal("{selector: {matchLabels: {kubearmor.io/container.name: main}}, network: {matchPeers: [{cidr: "
                      "10.0.0.0/8}]}}"),
              HasSubstr("spec.network.matchPeers[0]: the packet path has rules for whole pods"));
  EXPECT_EQ(Refusal("{file: {matchPaths: [{path: /a}]}}"), "");
}

// Random policies and contacts, both evaluators.
class Random {
 public:
  explicit Random(unsigned seed) : random_(seed) {}
  template <typename T>
  T Of(const std::vector<T>& values) {
    return values[std::uniform_int_distribution<std::size_t>(0, values.size() - 1)(random_)];
  }
  int Up(int to) { return std::uniform_int_distribution<int>(0, to)(random_); }

 private:
  std::mt19937 random_;
};

const std::vector<std::string> kPrograms = {"/usr/bin/a", "/usr/bin/b", "/bin/c", "/opt/x/y/d", "/opt/e"};

std::string RandomRule(Random& random) {
  std::string rule = "{cidr: " + random.Of<std::string>({"0.0.0.0/0", "10.0.0.0/8", "10.1.0.0/16", "10.1.1.0/24",
                                                         "192.0.2.1/32", "'2001:db8::/32'", "'::/0'"});
  rule += ", action: " + random.Of<std::string>({"Allow", "Block", "Audit"});
  if (random.Up(1) == 0) rule += ", protocol: " + random.Of<std::string>({"tcp", "udp", "sctp"});
  if (random.Up(1) == 0)
    rule += ", port: " + random.Of<std::string>({"80", "80, endPort: 90", "443", "1, endPort: 65535"});
  if (random.Up(1) == 0) {
    rule += ", fromSource: [" +
            random.Of<std::string>({"{path: /usr/bin/a}", "{path: /bin/b}", "{path: /usr/bin/c}", "{dir: /opt/}",
                                    "{dir: /opt/, recursive: true}", "{path: /usr/bin/a}, {path: /opt/e}"}) +
            "]";
  }
  return rule + "}";
}

TEST(PeerPolicies, BothEvaluatorsAgree) {
  Random random(20);
  int denied = 0, audited = 0, asked = 0;
  for (int round = 0; round < 400; ++round) {
    std::string text = random.Up(1) == 0 ? Posture("shop", "block") : "";
    std::vector<std::string> names;
    for (int i = 0; i <= random.Up(2); ++i) {
      std::string rules;
      for (int r = 0; r <= random.Up(2); ++r) rules += (rules.empty() ? "" : ", ") + RandomRule(random);
      const std::string name(1, static_cast<char>('a' + i));
      text += Doc("network: {matchPeers: [" + rules + "]}", name);
    }
    // Contradictions within one policy are errors of the file.
    const auto parsed = ParseResources("f.yaml", kPods + text, {.more_kinds = KindParsers()});
    if (!parsed.ok()) continue;
    const World world = WorldOf(text);
    std::vector<const Policy*> policies;
    for (const auto& [id, resource] : world.resources.of(Kind::kKubeArmorPolicy))
      policies.push_back(resource.lsm.get());
    Postures postures;
    if (text.find("posture: block") != std::string::npos) postures.network = Posture::kBlock;
    for (int i = 0; i < 30; ++i) {
      const Contacting contacting{
          .program = random.Of(kPrograms),
          .to = random.Of<std::string>({"10.1.1.1", "10.1.2.1", "10.2.0.1", "192.0.2.1", "192.0.2.2", "2001:db8::1"}),
          .port = random.Of<std::uint16_t>({80, 85, 91, 443}),
          .protocol = random.Of<std::uint8_t>({kTcp, kUdp, kSctp, kIcmp})};
      Contacting sent = contacting;
      if (contacting.to.find(':') != std::string::npos) continue;  // the workload has no such address
      if (contacting.protocol == kIcmp) sent.port = 0;
      const Decision expected =
          Evaluate(policies, postures, {.program = contacting.program},
                   Contact{.address = *Address::Parse(sent.to), .port = sent.port, .protocol = sent.protocol});
      const Evaluation answer = Send(world, sent);
      ++asked;
      denied += expected.action == Action::kBlock ? 1 : 0;
      audited += expected.action == Action::kAudit ? 1 : 0;
      EXPECT_EQ(answer.allowed, expected.action != Action::kBlock) << text << sent.program << " " << sent.to;
      EXPECT_EQ(answer.audit_denied, expected.action == Action::kAudit) << text << sent.program << " " << sent.to;
      if (expected.action != Action::kBlock || !answer.egress) continue;
      ASSERT_EQ(answer.egress->contributions.size(), 1U);
      EXPECT_EQ(answer.egress->contributions[0].policy, expected.policy->name) << text;
      EXPECT_EQ(answer.egress->contributions[0].rule,
                expected.rule->field + (expected.by_posture ? " (default posture)" : ""))
          << text;
    }
  }
  EXPECT_GT(asked, 3000);
  EXPECT_GT(denied, asked / 10);
  EXPECT_GT(audited, asked / 20);
}

}  // namespace
}  // namespace sluice::policy::lsm
