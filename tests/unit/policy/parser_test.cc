#include "policy/resource/parser.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "tests/unit/policy/documents.h"

namespace sluice::policy {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

TEST(ParserTest, NothingIsNoResource) {
  for (const char* text : {"", "\n", "# only a comment\n", "---\n---\n...\n", "~\n", "\xEF\xBB\xBF"}) {
    EXPECT_THAT(Parse(text), IsEmpty()) << text;
  }
}

TEST(ParserTest, Namespace) {
  const auto r = Parse(
      "apiVersion: v1\nkind: Namespace\nmetadata:\n  name: shop\n  labels: {team: a}\n"
      "spec: {finalizers: [kubernetes]}\nstatus: {phase: Active}\n");
  ASSERT_EQ(r.size(), 1U);
  EXPECT_EQ(r[0].id, (ResourceId{Kind::kNamespace, {"", "shop"}}));
  EXPECT_EQ(r[0].ns->labels, (Labels{{"team", "a"}, {"kubernetes.io/metadata.name", "shop"}}));
}

TEST(ParserTest, PosturesOfANamespace) {
  const auto r = Parse(
      "{apiVersion: v1, kind: Namespace, metadata: {name: shop, annotations: {kubearmor-file-posture: block, "
      "kubearmor-network-posture: audit, other: x}}}\n");
  ASSERT_EQ(r.size(), 1U);
  EXPECT_EQ(r[0].ns->postures, (Labels{{"kubearmor-file-posture", "block"}, {"kubearmor-network-posture", "audit"}}));
  const auto wrong = ParseResources(
      "f.yaml",
      "apiVersion: v1\nkind: Namespace\nmetadata:\n  name: shop\n  annotations: {kubearmor-file-posture: deny}\n");
  EXPECT_EQ(Message(wrong.status()),
            "f.yaml:5: Namespace shop: metadata.annotations.kubearmor-file-posture: must be audit or block, got "
            "\"deny\"");
}

TEST(ParserTest, PodAsKubectlPrintsIt) {
  const auto r = Parse(R"(apiVersion: v1
kind: Pod
metadata:
  annotations:
    note: "multi
      line"
  creationTimestamp: 2024-01-01T00:00:00Z
  generateName: web-
  labels:
    app: web
    pod-template-hash: "5d4f8"
  managedFields:
  - apiVersion: v1
    fieldsV1:
      f:metadata:
        f:labels:
          .: {}
          f:app: {}
  name: web-1
  namespace: shop
  ownerReferences: [{apiVersion: apps/v1, kind: ReplicaSet, name: web}]
  resourceVersion: "12"
  uid: 8a5b-1
spec:
  containers:
  - name: web
    image: nginx
    ports:
    - {containerPort: 8080, name: http, protocol: TCP}
    - {containerPort: 9090}
    resources: {limits: {cpu: 500m}}
  initContainers:
  - name: sidecar
    restartPolicy: Always
    ports: [{containerPort: 53, name: dns, protocol: UDP}]
  - name: setup
    ports: [{containerPort: 54, name: gone}]
  volumes: [{name: v, configMap: {defaultMode: 420}}]
status:
  phase: Running
  podIP: 10.2.0.1
  podIPs:
  - ip: 10.2.0.1
  - ip: fd00::7
)");
  ASSERT_EQ(r.size(), 1U);
  const auto& pod = *r[0].pod;
  EXPECT_EQ(pod.name, (ObjectName{"shop", "web-1"}));
  EXPECT_EQ(pod.uid, "8a5b-1");
  EXPECT_EQ(pod.labels, (Labels{{"app", "web"}, {"pod-template-hash", "5d4f8"}}));
  EXPECT_THAT(pod.ports, ElementsAre(NamedPort{"http", 8080, kTcp}, NamedPort{"dns", 53, kUdp}));
  EXPECT_THAT(pod.ips, ElementsAre(Address::Parse("10.2.0.1").value(), Address::Parse("fd00::7").value()));
  EXPECT_FALSE(pod.host_network);
  EXPECT_FALSE(pod.finished);
}

TEST(ParserTest, PodStates) {
  EXPECT_TRUE(Parse(Pod("spec: {hostNetwork: true}"))[0].pod->host_network);
  EXPECT_TRUE(Parse(Pod("status: {phase: Succeeded}"))[0].pod->finished);
  EXPECT_TRUE(Parse(Pod("status: {phase: Failed}"))[0].pod->finished);
  EXPECT_FALSE(Parse(Pod("status: {phase: Pending}"))[0].pod->finished);
  EXPECT_THAT(Parse(Pod("status: {podIP: 10.0.0.9}"))[0].pod->ips, ElementsAre(Address::Parse("10.0.0.9").value()));
  EXPECT_THAT(Parse(Pod(""))[0].pod->name.ns, "default");
}

TEST(ParserTest, WorkloadOfTheContract) {
  const auto r = Parse(R"(apiVersion: sluice.dev/v1alpha1
kind: Workload
metadata: {name: web-0, namespace: shop, labels: {app: web}}
spec:
  netns: /run/netns/web-0        # or hostInterface: vethab12
  interface: eth1
  ips: [10.1.0.2, "fd00::2"]
  ports: [{name: http, port: 80, protocol: TCP}, {name: http, port: 80, protocol: UDP}]
  cgroup: /kubepods/web-0
)");
  ASSERT_EQ(r.size(), 1U);
  const auto& w = *r[0].workload;
  EXPECT_EQ(w.name, (ObjectName{"shop", "web-0"}));
  EXPECT_EQ(w.labels, (Labels{{"app", "web"}}));
  EXPECT_EQ(w.netns, "/run/netns/web-0");
  EXPECT_EQ(w.host_interface, "");
  EXPECT_EQ(w.interface, "eth1");
  EXPECT_THAT(w.ips, ElementsAre(Address::Parse("10.1.0.2").value(), Address::Parse("fd00::2").value()));
  EXPECT_THAT(w.ports, ElementsAre(NamedPort{"http", 80, kTcp}, NamedPort{"http", 80, kUdp}));
  EXPECT_EQ(w.cgroup, "/kubepods/web-0");
}

TEST(ParserTest, WorkloadDefaults) {
  const auto w = Parse(Workload("  hostInterface: vethab12\n"))[0].workload;
  EXPECT_EQ(w->name.ns, "default");
  EXPECT_EQ(w->host_interface, "vethab12");
  EXPECT_EQ(w->interface, "eth0");
  EXPECT_THAT(w->ips, IsEmpty());
}

TEST(ParserTest, KubernetesNetworkPolicyComplete) {
  const auto p = Parse(Policy(R"(  podSelector:
    matchLabels: {role: db}
    matchExpressions: [{key: tier, operator: NotIn, values: [test]}]
  policyTypes: [Ingress, Egress]
  ingress:
  - from:
    - ipBlock: {cidr: 172.17.0.0/16, except: [172.17.1.0/24]}
    - namespaceSelector: {matchLabels: {project: x}}
      podSelector: {}
    - podSelector: {matchExpressions: [{key: a, operator: Exists}, {key: b, operator: DoesNotExist, values: []}]}
    ports:
    - {protocol: TCP, port: 6379}
    - {protocol: UDP, port: 32000, endPort: 32768}
    - {port: http}
    - {protocol: SCTP}
  egress: [{}]
status: {conditions: []}
)"))[0]
                     .policy;
  ASSERT_NE(p, nullptr);
  EXPECT_EQ(p->api, NetworkPolicy::Api::kKubernetes);
  EXPECT_TRUE(p->applies_to_ingress);
  EXPECT_TRUE(p->applies_to_egress);
  using Op = Selector::Operator;
  EXPECT_EQ(p->pod_selector, (Selector{{{"role", Op::kIn, {"db"}}, {"tier", Op::kNotIn, {"test"}}}}));
  ASSERT_EQ(p->ingress.size(), 1U);
  const Rule& rule = p->ingress[0];
  ASSERT_EQ(rule.peers.size(), 3U);
  EXPECT_EQ(rule.peers[0].ip_block->cidr.ToString(), "172.17.0.0/16");
  EXPECT_EQ(rule.peers[0].ip_block->except.at(0).ToString(), "172.17.1.0/24");
  EXPECT_FALSE(rule.peers[0].pod_selector || rule.peers[0].namespace_selector);
  EXPECT_EQ(rule.peers[1].pod_selector, Selector{});
  EXPECT_EQ(rule.peers[1].namespace_selector->requirements.size(), 1U);
  EXPECT_FALSE(rule.peers[2].namespace_selector);
  EXPECT_EQ(rule.peers[2].pod_selector, (Selector{{{"a", Op::kExists, {}}, {"b", Op::kDoesNotExist, {}}}}));
  ASSERT_EQ(rule.ports.size(), 4U);
  EXPECT_EQ(rule.ports[0].port, 6379);
  EXPECT_EQ(rule.ports[0].end_port, std::nullopt);
  EXPECT_EQ(rule.ports[1].protocol, kUdp);
  EXPECT_EQ(rule.ports[1].end_port, 32768);
  EXPECT_EQ(rule.ports[2].protocol, kTcp);
  EXPECT_EQ(rule.ports[2].port_name, "http");
  EXPECT_EQ(rule.ports[2].port, std::nullopt);
  EXPECT_EQ(rule.ports[3].protocol, kSctp);
  EXPECT_EQ(rule.ports[3].port, std::nullopt);
  ASSERT_EQ(p->egress.size(), 1U);
  EXPECT_TRUE(p->egress[0].peers.empty() && p->egress[0].ports.empty());
}

TEST(ParserTest, NamespaceSelectorEmptyIsNotAbsent) {
  const auto p =
      Parse(Policy("  ingress: [{from: [{namespaceSelector: {}}, {podSelector: {}, namespaceSelector: null}]}]\n"))[0]
          .policy;
  EXPECT_TRUE(p->ingress[0].peers[0].namespace_selector.has_value());
  EXPECT_FALSE(p->ingress[0].peers[0].pod_selector.has_value());
  EXPECT_FALSE(p->ingress[0].peers[1].namespace_selector.has_value());
}

TEST(ParserTest, PolicyTypesDefaults) {
  const auto types = [](const std::string& spec) {
    const auto p = Parse(Policy(spec))[0].policy;
    return std::string(p->applies_to_ingress ? "I" : "") + (p->applies_to_egress ? "E" : "");
  };
  EXPECT_EQ(types("  podSelector: {}\n"), "I");
  EXPECT_EQ(types("  {}\n"), "I");
  EXPECT_EQ(types("  egress: []\n"), "I");
  EXPECT_EQ(types("  egress: [{}]\n"), "IE");
  EXPECT_EQ(types("  policyTypes: []\n  egress: [{}]\n"), "IE");
  EXPECT_EQ(types("  policyTypes: [Egress]\n"), "E");
  EXPECT_EQ(types("  policyTypes: [Egress]\n  ingress: [{}]\n"), "E");
  EXPECT_EQ(types("  policyTypes: [Ingress]\n  egress: [{}]\n"), "I");
}

TEST(ParserTest, SluiceNetworkPolicy) {
  const auto r =
      Parse(SluicePolicy("  mode: Audit\n  ingress:\n  - {action: Deny, from: [{ipBlock: {cidr: 10.0.0.0/8}}]}\n"
                         "  - action: Audit\n  - {}\n"));
  const auto& p = *r[0].policy;
  EXPECT_EQ(r[0].id, (ResourceId{Kind::kSluiceNetworkPolicy, {"shop", "db"}}));
  EXPECT_EQ(p.api, NetworkPolicy::Api::kSluice);
  EXPECT_EQ(p.mode, PolicyMode::kAudit);
  ASSERT_EQ(p.ingress.size(), 3U);
  EXPECT_EQ(p.ingress[0].action, RuleAction::kDeny);
  EXPECT_EQ(p.ingress[1].action, RuleAction::kAudit);
  EXPECT_EQ(p.ingress[2].action, RuleAction::kAllow);
}

TEST(ParserTest, ProcessesOfARule) {
  const auto r = Parse(
      SluicePolicy("  unknownProcesses: Allow\n  egress:\n  - processes: {binaries: [/usr/bin/psql, \"/opt/app/**\"]}\n"
                   "  - processes: {ancestors: ['**/sshd']}\n  - {}\n"));
  const auto& p = *r[0].policy;
  EXPECT_EQ(p.unknown_processes, UnknownProcesses::kAllow);
  ASSERT_EQ(p.egress.size(), 3U);
  ASSERT_TRUE(p.egress[0].processes.has_value());
  EXPECT_THAT(p.egress[0].processes->binaries, ElementsAre("/usr/bin/psql", "/opt/app/**"));
  EXPECT_THAT(p.egress[0].processes->ancestors, IsEmpty());
  EXPECT_THAT(p.egress[1].processes->binaries, IsEmpty());
  EXPECT_THAT(p.egress[1].processes->ancestors, ElementsAre("**/sshd"));
  EXPECT_FALSE(p.egress[2].processes.has_value());
  EXPECT_EQ(Parse(SluicePolicy("  {}\n"))[0].policy->unknown_processes, UnknownProcesses::kDeny);
}

TEST(ParserTest, PatternsOfPrograms) {
  const auto patterns = [](const std::string& pattern) {
    return Parse(SluicePolicy(fmt::format("  egress: [{{processes: {{binaries: [\"{}\"]}}}}]\n", pattern)))[0]
        .policy->egress[0]
        .processes->binaries;
  };
  for (const std::string& pattern :
       {std::string("/x"), std::string("/..."), std::string("/a/.b/..c/*"), std::string("**"), std::string("**.sh"),
        std::string("/a b/?"), "/" + std::string(510, 'x')}) {
    EXPECT_THAT(patterns(pattern), ElementsAre(pattern));
  }
}

TEST(ParserTest, PolicyKindsMayShareAName) {
  const std::string cluster = ClusterPolicy("  namespaceSelector: {}\n  defaultDeny: true\n", "name: db");
  EXPECT_EQ(Parse(Policy("  {}\n") + "---\n" + SluicePolicy("  {}\n") + "---\n" + cluster).size(), 3U);
}

TEST(ParserTest, SluiceClusterNetworkPolicy) {
  const auto r = Parse(ClusterPolicy(
      "  namespaceSelector: {matchLabels: {team: a}}\n  podSelector: {matchLabels: {app: db}}\n  defaultDeny: false\n"
      "  mode: Audit\n  unknownProcesses: Allow\n  egress:\n  - action: Deny\n"
      "    to: [{namespaceSelector: {}, podSelector: {}}, {ipBlock: {cidr: 10.0.0.0/8}}]\n"));
  const auto& p = *r[0].policy;
  EXPECT_EQ(r[0].id, (ResourceId{Kind::kSluiceClusterNetworkPolicy, {"", "guard"}}));
  EXPECT_EQ(r[0].id.ToString(), "ClusterNetworkPolicy guard");
  EXPECT_EQ(p.api, NetworkPolicy::Api::kSluiceCluster);
  ASSERT_TRUE(p.namespace_selector.has_value());
  EXPECT_EQ(p.namespace_selector->requirements[0].key, "team");
  EXPECT_EQ(p.pod_selector.requirements[0].key, "app");
  EXPECT_FALSE(p.default_deny);
  EXPECT_EQ(p.mode, PolicyMode::kAudit);
  EXPECT_EQ(p.unknown_processes, UnknownProcesses::kAllow);
  EXPECT_TRUE(p.AppliesTo(Direction::kIngress)) << "as policyTypes says where it is absent";
  EXPECT_TRUE(p.AppliesTo(Direction::kEgress));
  EXPECT_FALSE(p.Isolates(Direction::kEgress));
  EXPECT_EQ(p.egress[0].peers.size(), 2U);
  EXPECT_EQ(p.egress[0].action, RuleAction::kDeny);
  EXPECT_EQ(Parse(r[0].yaml)[0].id, r[0].id) << "the kept document is read as the same";
  EXPECT_TRUE(Parse(SluicePolicy("  {}\n"))[0].policy->Isolates(Direction::kIngress));
}

// -n is for what has a namespace.
TEST(ParserTest, ADefaultNamespaceIsNotForAClusterNetworkPolicy) {
  const ParsedText parsed = ParseText("f.yaml", ClusterPolicy("  namespaceSelector: {}\n  defaultDeny: true\n"),
                                      {.default_namespace = "shop"});
  ASSERT_EQ(parsed.resources.size(), 1U);
  EXPECT_EQ(parsed.resources[0].id.name, (ObjectName{"", "guard"}));
  EXPECT_EQ(parsed.without_namespace, 0U);
  EXPECT_EQ(parsed.resources[0].yaml.find("namespace:"), std::string::npos) << parsed.resources[0].yaml;
}

TEST(ParserTest, ListsUnfold) {
  const auto r = Parse(
      "apiVersion: v1\nkind: List\nmetadata: {resourceVersion: ''}\nitems:\n"
      "- {apiVersion: v1, kind: Namespace, metadata: {name: a}}\n"
      "- {apiVersion: v1, kind: Pod, metadata: {name: b, namespace: a}}\n");
  ASSERT_EQ(r.size(), 2U);
  EXPECT_EQ(r[0].id.ToString(), "Namespace a");
  EXPECT_EQ(r[1].id.ToString(), "Pod a/b");
  EXPECT_THAT(Parse("{apiVersion: v1, kind: List, items: []}"), IsEmpty());
}

TEST(ParserTest, JsonIsYaml) {
  const auto r = Parse(R"({"apiVersion":"v1","kind":"Pod",
	"metadata":{"name":"p","labels":{"a/b":"true"}}})");
  EXPECT_EQ(r[0].pod->labels, (Labels{{"a/b", "true"}}));
}

TEST(ParserTest, WindowsLineEnds) {
  EXPECT_EQ(Parse("apiVersion: v1\r\nkind: Pod\r\nmetadata:\r\n  name: p\r\n")[0].id.ToString(), "Pod default/p");
}

TEST(ParserTest, AnchorsAndMergeKeys) {
  const auto r = Parse(
      "apiVersion: v1\nkind: Pod\nmetadata:\n  name: p\n  annotations: &base {app: web, tier: a}\n"
      "  labels: {<<: *base, tier: b}\nspec: {x: &y [1], z: *y}\n");
  EXPECT_EQ(r[0].pod->labels, (Labels{{"app", "web"}, {"tier", "b"}}));
  EXPECT_THAT(r[0].yaml, testing::Not(AnyOf(HasSubstr("*"), HasSubstr("&"), HasSubstr("<<"))));
  const auto several = Parse(
      "apiVersion: v1\nkind: Pod\nmetadata:\n  name: p\n  ownerReferences: [&a {k: one}, &b {k: two, l: three}]\n"
      "  labels: {<<: [*a, *b]}\n");
  EXPECT_EQ(several[0].pod->labels, (Labels{{"k", "one"}, {"l", "three"}}));
}

TEST(ParserTest, ExplicitStringTag) {
  EXPECT_EQ(Parse(Labelled("on: !!str true"))[0].pod->labels, (Labels{{"on", "true"}}));
}

TEST(NormalisedTest, ReadsAsTheSameResource) {
  const std::vector<std::string> texts = {
      Policy("  podSelector: {matchLabels: {a: 'true', b: '12', c: '', d/e: x}}\n  ingress: [{}, {from: [], ports: "
             "[{port: 80}]}]\n"
             "  egress: [{to: [{ipBlock: {cidr: '::/0', except: ['fd00::/8']}}, {namespaceSelector: {}}]}]\n"),
      SluicePolicy("  mode: Audit\n  unknownProcesses: Allow\n  ingress: [{action: Deny, processes: {binaries: "
                   "['**/psql', /a*, \"/b?c d\"], ancestors: [/x]}}]\n"),
      Workload("  netns: \"/run/net ns/\\u00e4:#\"\n  ips: [10.0.0.1, 'fd00::1']\n  ports: [{name: a, port: 1}]\n"),
      Pod("spec: {x: [[1, [2, {}], []], {a: [b]}], \"<<\": [-, '---', '- a', ': ', '#', '0x', '~', Null, '']}\nstatus: "
          "{podIP: 10.0.0.1}\n"),
      "apiVersion: v1\nkind: Pod\nmetadata:\n  name: p\n  annotations:\n    a: |\n      two\n      lines \"x\"\n    b: "
      "\"\\0\\e\\x7f\\u2028\\\\\"\n"
      "    'null': '-1'\n    '': '...'\n    c: >-\n      folded\n      text\n",
  };
  for (const std::string& text : texts) {
    const Resource first = Parse(text).at(0);
    const Resource again = Parse(first.yaml).at(0);
    EXPECT_EQ(again.id, first.id);
    EXPECT_EQ(again.yaml, first.yaml) << text;
    EXPECT_EQ(YamlToJson(again.yaml).value(), YamlToJson(text).value());
  }
}

TEST(NormalisedTest, IsReadable) {
  EXPECT_EQ(
      Parse(Policy(
          "  podSelector: {matchLabels: {\"app\": \"web\", on: 'yes'}}\n  ingress: [{ports: [{port: 80}]}]\n"))[0]
          .yaml,
      "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata:\n  name: db\n  namespace: shop\nspec:\n"
      "  podSelector:\n    matchLabels:\n      app: web\n      on: \"yes\"\n  ingress:\n  - ports:\n    - port: 80\n");
}

TEST(YamlToJsonTest, KeepsTypes) {
  EXPECT_EQ(
      YamlToJson("{s: a, q: '1', i: 80, n: -5, o: 0644, x: 0x1F, f: 1.5, t: true, y: yes, z: ~, l: [], m: {}}").value(),
      R"({"f":1.5,"i":80,"l":[],"m":{},"n":-5,"o":420,"q":"1","s":"a","t":true,"x":31,"y":true,"z":null})");
  EXPECT_EQ(YamlToJson("{a: .Inf, b: .NaN, c: 99999999999999999999, d: -1.5e+3, e: 1_0.5, f: 1e999}").value(),
            R"({"a":".Inf","b":".NaN","c":1e+20,"d":-1500.0,"e":10.5,"f":"1e999"})");
}

TEST(YamlToJsonTest, WantsOneDocument) {
  EXPECT_FALSE(YamlToJson("").ok());
  EXPECT_FALSE(YamlToJson("a: b\n---\nc: d\n").ok());
  EXPECT_FALSE(YamlToJson("a: [\n").ok());
}

}  // namespace
}  // namespace sluice::policy
