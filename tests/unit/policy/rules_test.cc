// The numbered rules of docs/policy.md up to 22: networking.k8s.io/v1 NetworkPolicy.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/policy/world.h"

namespace sluice::policy {
namespace {

World WithDbIngress(const std::string& rules) {
  return With(PolicyYaml("shop", "p", fmt::format("{}, ingress: {}", kSelectDb, rules)));
}

World WithDbEgress(const std::string& rules) {
  return With(PolicyYaml("shop", "p", fmt::format("{}, policyTypes: [Egress], egress: {}", kSelectDb, rules)));
}

TEST(Rules, Rule01_NotIsolatedMeansAllowed) {
  const World world;
  for (const char* from : {"shop/web", "bank/far", kOutside4, kNode4}) {
    const Evaluation answer = world.Evaluate(from, "shop/db", "5432/TCP");
    EXPECT_TRUE(answer.allowed) << from;
    ASSERT_TRUE(answer.ingress.has_value());
    EXPECT_TRUE(answer.ingress->contributions.empty());
  }
}

TEST(Rules, Rule01_IsolatedBySelectionInTheDirectionOnly) {
  const World world = With(PolicyYaml("shop", "p", fmt::format("{}, policyTypes: [Ingress]", kSelectDb)));
  EXPECT_FALSE(world.Allows("shop/web", "shop/db"));
  EXPECT_TRUE(world.Allows("shop/db", "shop/web"));
  EXPECT_TRUE(world.Allows("shop/db", kOutside4));
  EXPECT_TRUE(world.Allows("bank/web", "shop/web")) << "not selected";
}

TEST(Rules, Rule01_PoliciesSelectInTheirOwnNamespaceOnly) {
  const World world = With(PolicyYaml("shop", "p", "podSelector: {}"));
  EXPECT_FALSE(world.Allows("bank/web", "shop/web"));
  EXPECT_FALSE(world.Allows("bank/web", "shop/db"));
  EXPECT_TRUE(world.Allows("shop/web", "bank/web"));
}

TEST(Rules, Rule02_PolicyTypesDefault) {
  EXPECT_TRUE(WithDbIngress("[]").Allows("shop/db", kOutside4)) << "no egress section";
  World world = With(PolicyYaml("shop", "p", fmt::format("{}, egress: []", kSelectDb)));
  EXPECT_TRUE(world.Allows("shop/db", kOutside4)) << "an empty egress section does not isolate";
  EXPECT_FALSE(world.Allows("shop/web", "shop/db")) << "ingress is always among the defaults";
  world = With(PolicyYaml("shop", "p", fmt::format("{}, egress: [{{ports: [{{port: 53}}]}}]", kSelectDb)));
  EXPECT_FALSE(world.Allows("shop/db", kOutside4, "80/TCP")) << "one egress rule does";
  EXPECT_TRUE(world.Allows("shop/db", kOutside4, "53/TCP"));
}

TEST(Rules, Rule02_RulesOfOtherDirectionsMeanNothing) {
  const World world = With(PolicyYaml(
      "shop", "p", fmt::format("{}, policyTypes: [Ingress], egress: [{{ports: [{{port: 53}}]}}]", kSelectDb)));
  EXPECT_TRUE(world.Allows("shop/db", kOutside4, "80/TCP"));
}

TEST(Rules, Rule03_UnionOfAllPolicies) {
  const std::string first = PolicyYaml("shop", "a", fmt::format("{}, ingress: [{{ports: [{{port: 1}}]}}]", kSelectDb));
  const std::string second =
      PolicyYaml("shop", "b", "podSelector: {}, ingress: [{from: [{podSelector: {}}], ports: [{port: 2}]}]");
  for (const std::string& both : {first + "---\n" + second, second + "---\n" + first}) {
    const World world = With(both);
    EXPECT_TRUE(world.Allows("bank/web", "shop/db", "1/TCP"));
    EXPECT_TRUE(world.Allows("shop/web", "shop/db", "2/TCP"));
    EXPECT_FALSE(world.Allows("bank/web", "shop/db", "2/TCP"));
    EXPECT_FALSE(world.Allows("shop/web", "shop/db", "3/TCP"));
  }
}

TEST(Rules, Rule03_BothEndsMustAllow) {
  const std::string out =
      PolicyYaml("shop", "out",
                 "podSelector: {matchLabels: {app: web}}, policyTypes: [Egress], egress: [{ports: [{port: 5432}]}]");
  const std::string in = PolicyYaml("shop", "in", fmt::format("{}, ingress: [{{ports: [{{port: 80}}]}}]", kSelectDb));
  const World world = With(out + "---\n" + in);
  const Evaluation at_destination = world.Evaluate("shop/web", "shop/db", "5432/TCP");
  EXPECT_FALSE(at_destination.allowed);
  EXPECT_TRUE(at_destination.egress->allowed);
  EXPECT_FALSE(at_destination.ingress->allowed);
  const Evaluation at_source = world.Evaluate("shop/web", "shop/db", "80/TCP");
  EXPECT_FALSE(at_source.allowed);
  EXPECT_FALSE(at_source.egress->allowed);
  EXPECT_TRUE(at_source.ingress->allowed);
}

TEST(Rules, Rule04_OnlyTheOpeningDirectionIsJudged) {
  // Replies belong to the tracked flow; a flow that db opens itself is a separate one.
  const World world = WithDbEgress("[]");
  EXPECT_TRUE(world.Allows("shop/web", "shop/db", "5432/TCP"));
  EXPECT_FALSE(world.Allows("shop/db", "shop/web", "40000/TCP"));
}

TEST(Rules, Rule05_EmptySections) {
  EXPECT_FALSE(WithDbIngress("[]").Allows("shop/web", "shop/db")) << "no rules: deny all";
  for (const char* everybody : {"[{}]", "[{from: []}]", "[{ports: []}]", "[{from: [], ports: []}]"}) {
    const World world = WithDbIngress(everybody);
    for (const char* from : {"shop/web", "bank/web", "bank/far", kOutside4, kNode4}) {
      EXPECT_TRUE(world.Allows(from, "shop/db", "5432/TCP")) << everybody << from;
      EXPECT_TRUE(world.Allows(from, "shop/db", "53/UDP")) << everybody << from;
      EXPECT_TRUE(world.Allows(from, "shop/db", "1")) << everybody << from;
    }
    EXPECT_TRUE(world.Allows(kOutside6, "fd00::2", "58")) << everybody;
  }
}

TEST(Rules, Rule06_PeerAndPortOfOneRule) {
  const World world = WithDbIngress(
      "[{from: [{podSelector: {matchLabels: {app: web}}}, {ipBlock: {cidr: 203.0.113.0/24}}], ports: [{port: 1}, "
      "{port: "
      "2}]}, {from: [{namespaceSelector: {matchLabels: {team: money}}}], ports: [{port: 3}]}]");
  for (const char* port : {"1/TCP", "2/TCP"}) {
    EXPECT_TRUE(world.Allows("shop/web", "shop/db", port));
    EXPECT_TRUE(world.Allows(kOutside4, "shop/db", port));
    EXPECT_FALSE(world.Allows("bank/web", "shop/db", port));
  }
  EXPECT_FALSE(world.Allows("shop/web", "shop/db", "3/TCP"));
  EXPECT_TRUE(world.Allows("bank/web", "shop/db", "3/TCP"));
  EXPECT_TRUE(world.Allows("bank/far", "shop/db", "3/TCP")) << "a pod that is not local";
}

TEST(Rules, Rule07_PodSelectorIsOfThePolicysNamespace) {
  const World world = WithDbIngress("[{from: [{podSelector: {matchLabels: {app: web}}}]}]");
  EXPECT_TRUE(world.Allows("shop/web", "shop/db"));
  EXPECT_FALSE(world.Allows("bank/web", "shop/db"));
}

TEST(Rules, Rule07_NamespaceSelectorMeansAllItsPods) {
  const World world = WithDbIngress("[{from: [{namespaceSelector: {matchLabels: {team: money}}}]}]");
  EXPECT_TRUE(world.Allows("bank/web", "shop/db"));
  EXPECT_TRUE(world.Allows("bank/vault", "shop/db"));
  EXPECT_TRUE(world.Allows("bank/far", "shop/db"));
  EXPECT_FALSE(world.Allows("shop/web", "shop/db"));
}

TEST(Rules, Rule07_BothInOneElementAreAnded) {
  const World world = WithDbIngress(
      "[{from: [{namespaceSelector: {matchLabels: {team: money}}, podSelector: {matchLabels: {app: web}}}]}]");
  EXPECT_TRUE(world.Allows("bank/web", "shop/db"));
  EXPECT_FALSE(world.Allows("bank/vault", "shop/db"));
  EXPECT_FALSE(world.Allows("shop/web", "shop/db"));
}

TEST(Rules, Rule07_TwoElementsAreOred) {
  const World world = WithDbIngress(
      "[{from: [{namespaceSelector: {matchLabels: {team: money}}}, {podSelector: {matchLabels: {app: web}}}]}]");
  EXPECT_TRUE(world.Allows("bank/web", "shop/db"));
  EXPECT_TRUE(world.Allows("bank/vault", "shop/db"));
  EXPECT_TRUE(world.Allows("shop/web", "shop/db"));
  EXPECT_FALSE(world.Allows(kOutside4, "shop/db"));
}

TEST(Rules, Rule07_EmptySelectorIsNotAnAbsentOne) {
  const World own = WithDbIngress("[{from: [{podSelector: {}}]}]");
  EXPECT_TRUE(own.Allows("shop/web", "shop/db"));
  EXPECT_FALSE(own.Allows("bank/web", "shop/db"));
  const World every = WithDbIngress("[{from: [{namespaceSelector: {}}]}]");
  EXPECT_TRUE(every.Allows("shop/web", "shop/db"));
  EXPECT_TRUE(every.Allows("bank/web", "shop/db"));
  EXPECT_FALSE(every.Allows(kOutside4, "shop/db")) << "selectors match pods, not the outside";
  EXPECT_FALSE(every.Allows(kNode4, "shop/db"));
}

TEST(Rules, Rule08_ExceptNarrowsItsOwnBlockOnly) {
  const World world = WithDbIngress(
      "[{from: [{ipBlock: {cidr: 203.0.113.0/24, except: [203.0.113.0/28]}}, {ipBlock: {cidr: 203.0.113.9/32}}]}]");
  EXPECT_TRUE(world.Allows("203.0.113.16", "shop/db"));
  EXPECT_FALSE(world.Allows("203.0.113.7", "shop/db"));
  EXPECT_TRUE(world.Allows("203.0.113.9", "shop/db")) << "another peer allows it";
  EXPECT_FALSE(world.Allows("203.0.114.1", "shop/db"));
}

TEST(Rules, Rule08_FamiliesAreApart) {
  const World four = WithDbIngress("[{from: [{ipBlock: {cidr: 0.0.0.0/0}}]}]");
  EXPECT_TRUE(four.Allows(kOutside4, "shop/db"));
  EXPECT_FALSE(four.Allows(kOutside6, "fd00::2"));
  const World six = WithDbIngress("[{from: [{ipBlock: {cidr: '::/0'}}]}]");
  EXPECT_FALSE(six.Allows(kOutside4, "shop/db")) << "::/0 holds v4-mapped addresses only in the trie's eyes";
  EXPECT_TRUE(six.Allows(kOutside6, "fd00::2"));
}

TEST(Rules, Rule08_InvalidPeersAreRefused) {
  const auto with_peer = [](const std::string& peer) {
    return PolicyYaml("shop", "p", fmt::format("podSelector: {{}}, ingress: [{{from: [{}]}}]", peer));
  };
  EXPECT_THAT(ParseError(with_peer("{}")), testing::HasSubstr("spec.ingress[0].from[0]"));
  EXPECT_THAT(ParseError(with_peer("{ipBlock: {cidr: 10.0.0.0/8}, podSelector: {}}")), testing::HasSubstr("ipBlock"));
  EXPECT_THAT(ParseError(with_peer("{ipBlock: {cidr: 10.0.0.0/8, except: [10.0.0.0/8]}}")),
              testing::HasSubstr("except[0]"));
  EXPECT_THAT(ParseError(with_peer("{ipBlock: {cidr: 10.0.0.0/8, except: ['fd00::/64']}}")),
              testing::HasSubstr("except[0]"));
}

TEST(Rules, Rule09_IpBlockMatchesPods) {
  const World in = WithDbIngress("[{from: [{ipBlock: {cidr: 10.0.0.0/15, except: [10.0.1.0/24]}}]}]");
  EXPECT_TRUE(in.Allows("shop/web", "shop/db"));
  EXPECT_FALSE(in.Allows("bank/web", "shop/db"));
  EXPECT_TRUE(in.Allows("bank/far", "shop/db"));
  const World out = WithDbEgress("[{to: [{ipBlock: {cidr: 10.0.1.1/32}}]}]");
  EXPECT_TRUE(out.Allows("shop/db", "bank/web"));
  EXPECT_FALSE(out.Allows("shop/db", "bank/vault"));
}

TEST(Rules, Rule10_MatchExpressions) {
  const auto allowed = [](const std::string& expression) {
    const World world = WithDbIngress(
        fmt::format("[{{from: [{{namespaceSelector: {{}}, podSelector: {{matchExpressions: [{}]}}}}]}}]", expression));
    std::string names;
    for (const char* name : {"shop/web", "bank/web", "bank/vault", "bank/far"}) {
      if (world.Allows(name, "shop/db")) names += std::string(name) + " ";
    }
    return names;
  };
  EXPECT_EQ(allowed("{key: app, operator: In, values: [web, far]}"), "shop/web bank/web bank/far ");
  EXPECT_EQ(allowed("{key: tier, operator: NotIn, values: [front]}"), "bank/web bank/far ") << "absent keys match";
  EXPECT_EQ(allowed("{key: tier, operator: Exists}"), "shop/web bank/vault ");
  EXPECT_EQ(allowed("{key: tier, operator: DoesNotExist}"), "bank/web bank/far ");
  EXPECT_EQ(allowed("{key: tier, operator: Exists}, {key: app, operator: In, values: [web]}"), "shop/web ") << "ANDed";
}

TEST(Rules, Rule10_MatchLabelsAndExpressionsAreAnded) {
  const World world = WithDbIngress(
      "[{from: [{namespaceSelector: {}, podSelector: {matchLabels: {app: web}, matchExpressions: [{key: tier, "
      "operator: "
      "DoesNotExist}]}}]}]");
  EXPECT_TRUE(world.Allows("bank/web", "shop/db"));
  EXPECT_FALSE(world.Allows("shop/web", "shop/db"));
}

TEST(Rules, Rule10_EveryNamespaceHasItsName) {
  World world = WithDbIngress(
      "[{from: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: bank}}}]}, {from: [{namespaceSelector: "
      "{matchLabels: {kubernetes.io/metadata.name: implied}}}]}]");
  EXPECT_TRUE(world.Allows("bank/web", "shop/db"));
  EXPECT_FALSE(world.Allows("shop/web", "shop/db"));
  world.Apply(R"(
apiVersion: v1
kind: Pod
metadata: {name: p, namespace: implied}
status: {podIPs: [{ip: 10.7.7.7}]}
)");
  EXPECT_TRUE(world.Allows("implied/p", "shop/db")) << "no Namespace resource says so";
}

TEST(Rules, Rule10_LabelsThatChurnCountWhereASelectorNamesThem) {
  World world = WithDbIngress("[{from: [{podSelector: {matchLabels: {pod-template-hash: '1'}}}]}]");
  world.Apply(R"(
{apiVersion: v1, kind: Pod, metadata: {name: r1, namespace: shop, labels: {app: r, pod-template-hash: '1'}}, status: {podIPs: [{ip: 10.7.0.1}]}}
---
{apiVersion: v1, kind: Pod, metadata: {name: r2, namespace: shop, labels: {app: r, pod-template-hash: '2'}}, status: {podIPs: [{ip: 10.7.0.2}]}}
)");
  EXPECT_TRUE(world.Allows("shop/r1", "shop/db"));
  EXPECT_FALSE(world.Allows("shop/r2", "shop/db"));
}

TEST(Rules, Rule11_ProtocolDefaultsToTcp) {
  const World world = WithDbIngress("[{ports: [{port: 80}]}]");
  EXPECT_TRUE(world.Allows("shop/web", "shop/db", "80/TCP"));
  EXPECT_FALSE(world.Allows("shop/web", "shop/db", "80/UDP"));
}

TEST(Rules, Rule11_ProtocolWithoutPortMeansAllItsPorts) {
  const World world = WithDbIngress("[{ports: [{protocol: UDP}]}]");
  for (const char* service : {"0/UDP", "1/UDP", "65535/UDP"}) EXPECT_TRUE(world.Allows("shop/web", "shop/db", service));
  for (const char* service : {"0/TCP", "65535/TCP", "16", "18"}) {
    EXPECT_FALSE(world.Allows("shop/web", "shop/db", service)) << service;
  }
}

TEST(Rules, Rule11_NamedPortOfTheDestination) {
  const World in = With(PolicyYaml("shop", "p", "podSelector: {}, ingress: [{ports: [{port: http}]}]"));
  EXPECT_TRUE(in.Allows("bank/web", "shop/web", "80/TCP"));
  EXPECT_FALSE(in.Allows("bank/web", "shop/web", "8080/TCP")) << "the source's port of that name";
  EXPECT_FALSE(in.Allows("bank/web", "shop/web", "80/UDP"));
  EXPECT_FALSE(in.Allows("bank/web", "shop/db", "80/TCP")) << "db has no such port";
}

TEST(Rules, Rule11_NamedPortByPeerForEgress) {
  const World out = WithDbEgress("[{ports: [{port: http}]}]");
  EXPECT_TRUE(out.Allows("shop/db", "shop/web", "80/TCP"));
  EXPECT_FALSE(out.Allows("shop/db", "shop/web", "8080/TCP"));
  EXPECT_TRUE(out.Allows("shop/db", "bank/web", "8080/TCP"));
  EXPECT_FALSE(out.Allows("shop/db", "bank/web", "80/TCP"));
  EXPECT_TRUE(out.Allows("shop/db", "bank/far", "81/TCP"));
  EXPECT_FALSE(out.Allows("shop/db", "bank/vault", "80/TCP"));
  EXPECT_FALSE(out.Allows("shop/db", kOutside4, "80/TCP")) << "names match no outside address";
  EXPECT_FALSE(out.Allows("shop/db", kNode4, "80/TCP"));
}

TEST(Rules, Rule11_NameAndProtocolTogether) {
  const World world = With(PolicyYaml(
      "shop", "p", "podSelector: {}, ingress: [{ports: [{port: dns, protocol: UDP}, {port: http, protocol: UDP}]}]"));
  EXPECT_TRUE(world.Allows("bank/web", "shop/web", "53/UDP"));
  EXPECT_FALSE(world.Allows("bank/web", "shop/web", "53/TCP"));
  EXPECT_FALSE(world.Allows("bank/web", "shop/web", "80/UDP")) << "http is TCP";
}

TEST(Rules, Rule12_EndPortIsIncluded) {
  const World world = WithDbIngress("[{ports: [{port: 100, endPort: 200}, {port: 65535, endPort: 65535}]}]");
  for (const char* service : {"100/TCP", "150/TCP", "200/TCP", "65535/TCP"}) {
    EXPECT_TRUE(world.Allows("shop/web", "shop/db", service)) << service;
  }
  for (const char* service : {"99/TCP", "201/TCP", "65534/TCP", "150/UDP", "0/UDP", "7"}) {
    EXPECT_FALSE(world.Allows("shop/web", "shop/db", service)) << service;
  }
}

TEST(Rules, Rule12_InvalidRangesAreRefused) {
  const auto with_port = [](const std::string& port) {
    return PolicyYaml("shop", "p", fmt::format("podSelector: {{}}, ingress: [{{ports: [{}]}}]", port));
  };
  EXPECT_THAT(ParseError(with_port("{port: 80, endPort: 79}")), testing::HasSubstr("ports[0].endPort"));
  EXPECT_THAT(ParseError(with_port("{endPort: 79}")), testing::HasSubstr("ports[0].endPort"));
  EXPECT_THAT(ParseError(with_port("{port: http, endPort: 79}")), testing::HasSubstr("ports[0].endPort"));
}

TEST(Rules, Rule13_ProtocolsAreApart) {
  const World sctp = WithDbIngress("[{ports: [{port: 80, protocol: SCTP}]}]");
  EXPECT_TRUE(sctp.Allows("shop/web", "shop/db", "80/SCTP"));
  EXPECT_FALSE(sctp.Allows("shop/web", "shop/db", "80/TCP")) << "it isolates all the same";
  const World udp = WithDbIngress("[{ports: [{port: 80, protocol: UDP}]}]");
  EXPECT_FALSE(udp.Allows("shop/web", "shop/db", "80/TCP"));
}

TEST(Rules, Rule13_OtherProtocolsNeedARuleWithoutPorts) {
  EXPECT_TRUE(WithDbIngress("[{from: [{podSelector: {}}]}]").Allows("shop/web", "shop/db", "1"));
  EXPECT_FALSE(WithDbIngress("[{ports: [{protocol: TCP}, {protocol: UDP}, {protocol: SCTP}]}]")
                   .Allows("shop/web", "shop/db", "1"));
  EXPECT_FALSE(WithDbIngress("[]").Allows("shop/web", "shop/db", "1"));
  EXPECT_TRUE(World().Allows("shop/web", "shop/db", "255"));
}

TEST(Rules, Rule14_TheNodeReachesItsWorkloads) {
  const World world = WithDbIngress("[]");
  Flow probe = world.FlowOf(kNode4, "shop/db", "80/TCP");
  EXPECT_FALSE(world.Evaluate(probe).allowed) << "an address of the node does not prove that the node sent it";
  probe.from_node = true;
  const Evaluation answer = world.Evaluate(probe);
  EXPECT_TRUE(answer.allowed);
  EXPECT_FALSE(answer.egress.has_value());
  EXPECT_EQ(answer.ingress, Decision{});
}

TEST(Rules, Rule14_AWorkloadReachesItself) {
  const World world = With(PolicyYaml("shop", "p", fmt::format("{}, policyTypes: [Ingress, Egress]", kSelectDb)));
  const Evaluation answer = world.Evaluate("shop/db", "shop/db", "5432/TCP");
  EXPECT_TRUE(answer.allowed);
  EXPECT_EQ(answer.egress, Decision{});
  EXPECT_EQ(answer.ingress, Decision{});
  EXPECT_TRUE(world.Allows("fd00::2", "fd00::2", "5432/TCP"));
  EXPECT_FALSE(world.Allows("shop/db", "shop/web", "5432/TCP"));
}

TEST(Rules, Rule14_EgressToTheNodeIsJudged) {
  EXPECT_FALSE(WithDbEgress("[]").Allows("shop/db", kNode4));
  EXPECT_FALSE(WithDbEgress("[{to: [{namespaceSelector: {}}]}]").Allows("shop/db", kNode4));
  EXPECT_TRUE(WithDbEgress("[{to: [{ipBlock: {cidr: 10.0.0.254/32}}]}]").Allows("shop/db", kNode4));
  EXPECT_TRUE(WithDbEgress("[{}]").Allows("shop/db", kNode4));
  EXPECT_TRUE(WithDbEgress("[{to: [{ipBlock: {cidr: 'fd00::/64'}}]}]").Allows("fd00::2", kNode6));
}

TEST(Rules, Rule15_HostNetworkPodsAreTheNode) {
  World world = WithDbIngress("[{from: [{podSelector: {matchLabels: {app: host}}}]}]");
  world.Apply(R"(
apiVersion: v1
kind: Pod
metadata: {name: host, namespace: shop, labels: {app: host}}
spec: {hostNetwork: true}
status: {podIPs: [{ip: 10.0.0.254}]}
)");
  EXPECT_EQ(world.snapshot().FindByName({"shop", "host"}), nullptr);
  EXPECT_FALSE(world.Allows(kNode4, "shop/db"));
}

TEST(Rules, Rule15_APodNeverOwnsAnAddressOfTheNode) {
  World world = WithDbIngress("[{from: [{podSelector: {}}]}]");
  world.Apply(
      "{apiVersion: v1, kind: Pod, metadata: {name: odd, namespace: shop}, status: {podIPs: [{ip: 10.0.0.254}]}}");
  EXPECT_FALSE(world.Allows(kNode4, "shop/db"));
}

TEST(Rules, Rule16_ChangesOfLabelsTakeEffect) {
  World world = WithDbIngress("[{from: [{namespaceSelector: {matchLabels: {team: money}}}]}]");
  EXPECT_TRUE(world.Allows("bank/far", "shop/db"));
  world.Apply("{apiVersion: v1, kind: Namespace, metadata: {name: bank, labels: {team: other}}}");
  EXPECT_FALSE(world.Allows("bank/far", "shop/db"));
  world.Apply("{apiVersion: v1, kind: Namespace, metadata: {name: shop, labels: {team: money}}}");
  EXPECT_TRUE(world.Allows("shop/web", "shop/db"));
}

TEST(Rules, Rule16_PeersThatDoNotExistYet) {
  World world = WithDbIngress("[{from: [{namespaceSelector: {matchLabels: {team: later}}}]}]");
  EXPECT_FALSE(world.Allows("10.8.0.1", "shop/db"));
  world.Apply(R"(
{apiVersion: v1, kind: Namespace, metadata: {name: later, labels: {team: later}}}
---
{apiVersion: v1, kind: Pod, metadata: {name: p, namespace: later}, status: {podIPs: [{ip: 10.8.0.1}]}}
)");
  EXPECT_TRUE(world.Allows("10.8.0.1", "shop/db"));
  world.Delete(Kind::kPod, {"later", "p"});
  EXPECT_FALSE(world.Allows("10.8.0.1", "shop/db"));
}

TEST(Rules, Rule16_DeletedPoliciesEnd) {
  World world = WithDbIngress("[]");
  EXPECT_FALSE(world.Allows("shop/web", "shop/db"));
  world.Delete(Kind::kNetworkPolicy, {"shop", "p"});
  EXPECT_TRUE(world.Allows("shop/web", "shop/db"));
}

TEST(Rules, Rule17_ANewWorkloadIsIsolatedInTheSnapshotThatBringsIt) {
  World world = With(PolicyYaml("shop", "p", "podSelector: {}"));
  world.Apply(R"(
apiVersion: sluice.dev/v1alpha1
kind: Workload
metadata: {name: new, namespace: shop}
spec: {netns: /run/netns/new, ips: [10.0.0.77]}
)");
  EXPECT_FALSE(world.Allows("shop/web", "shop/new"));
}

TEST(Rules, Rule18_FinishedPodsOwnNoAddress) {
  World world = WithDbIngress("[{from: [{namespaceSelector: {}, podSelector: {matchLabels: {app: far}}}]}]");
  EXPECT_TRUE(world.Allows("10.0.9.9", "shop/db"));
  for (const char* phase : {"Succeeded", "Failed"}) {
    world.Apply(
        fmt::format("{{apiVersion: v1, kind: Pod, metadata: {{name: far, namespace: bank, labels: {{app: far}}}}, "
                    "status: {{phase: {}, podIPs: [{{ip: 10.0.9.9}}]}}}}",
                    phase));
    EXPECT_FALSE(world.Allows("10.0.9.9", "shop/db")) << phase;
  }
  world.Apply(
      "{apiVersion: v1, kind: Pod, metadata: {name: heir, namespace: bank, labels: {app: heir}}, status: "
      "{podIPs: [{ip: 10.0.9.9}]}}");
  EXPECT_EQ(world.snapshot().Find(*Address::Parse("10.0.9.9"))->name.name, "heir");
}

TEST(Rules, Rule18_TerminatingPodsStillCount) {
  World world = WithDbIngress("[{from: [{namespaceSelector: {}, podSelector: {matchLabels: {app: far}}}]}]");
  world.Apply(
      "{apiVersion: v1, kind: Pod, metadata: {name: far, namespace: bank, labels: {app: far}, "
      "deletionTimestamp: '2024-01-01T00:00:00Z'}, status: {phase: Running, podIPs: [{ip: 10.0.9.9}]}}");
  EXPECT_TRUE(world.Allows("10.0.9.9", "shop/db"));
}

TEST(Rules, Rule19_ANewDecisionHasAnotherNumber) {
  // Live flows are evaluated again under a new generation: when the answer changes, so must the value they find.
  World world = WithDbIngress("[{}]");
  const Flow flow = world.FlowOf("shop/web", "shop/db", "80/TCP");
  const test::TableVerdict before = test::LookUp(world.compiled().tables, flow);
  world.Apply(PolicyYaml("shop", "p", fmt::format("{}, ingress: []", kSelectDb)));
  const test::TableVerdict after = test::LookUp(world.compiled().tables, flow);
  EXPECT_TRUE(before.allowed);
  EXPECT_FALSE(after.allowed);
  EXPECT_NE(before.ingress_decision, after.ingress_decision);
}

TEST(Rules, Rule20_EveryAddressOfAWorkload) {
  const World world = WithDbIngress("[{from: [{podSelector: {matchLabels: {app: web}}}]}]");
  EXPECT_TRUE(world.Allows("10.0.0.1", "10.0.0.2"));
  EXPECT_TRUE(world.Allows("fd00::1", "fd00::2"));
  EXPECT_FALSE(world.Allows("10.0.1.1", "10.0.0.2"));
  EXPECT_FALSE(world.Allows("fd00::1:1", "fd00::2"));
  EXPECT_FALSE(world.Allows(kOutside6, "fd00::2"));
}

TEST(Rules, Rule21_JudgedByTheAddressesSeen) {
  // A source that was translated to the node's address counts as the node, whatever is behind it.
  const World world = WithDbIngress("[{from: [{ipBlock: {cidr: 203.0.113.0/24}}]}]");
  EXPECT_TRUE(world.Allows(kOutside4, "shop/db"));
  EXPECT_FALSE(world.Allows(kNode4, "shop/db"));
}

TEST(Rules, Rule22_HairpinAcrossItsOwnAddresses) {
  World world = With(PolicyYaml("shop", "p", "podSelector: {}, policyTypes: [Ingress, Egress]"));
  world.Apply(R"(
apiVersion: sluice.dev/v1alpha1
kind: Workload
metadata: {name: two, namespace: shop}
spec: {netns: /run/netns/two, ips: [10.0.0.50, 10.0.0.51]}
)");
  EXPECT_TRUE(world.Allows("10.0.0.50", "10.0.0.51"));
  EXPECT_FALSE(world.Allows("10.0.0.50", "10.0.0.1"));
}

}  // namespace
}  // namespace sluice::policy
