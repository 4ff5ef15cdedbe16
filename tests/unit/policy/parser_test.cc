#include "policy/resource/parser.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <ctime>

#include "policy/resource/yaml.h"

namespace sluice::policy {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::StartsWith;

std::vector<Resource> Parse(const std::string& text) {
  auto resources = ParseResources("f.yaml", text);
  EXPECT_TRUE(resources.ok()) << Message(resources.status());
  return resources.ok() ? *std::move(resources) : std::vector<Resource>(1);
}

std::string ErrorOf(const std::string& text) {
  const auto resources = ParseResources("f.yaml", text);
  return resources.ok() ? "no error" : Message(resources.status());
}

// A document of this kind in one line, with `rest` as further top-level fields.
std::string Policy(const std::string& spec, const std::string& metadata = "name: db, namespace: shop") {
  return "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {" + metadata + "}\nspec:\n" + spec;
}
std::string SluicePolicy(const std::string& spec) {
  return "apiVersion: sluice.dev/v1alpha1\nkind: NetworkPolicy\nmetadata: {name: db, namespace: shop}\nspec:\n" + spec;
}
std::string Workload(const std::string& spec) {
  return "apiVersion: sluice.dev/v1alpha1\nkind: Workload\nmetadata: {name: w}\nspec:\n" + spec;
}
std::string Pod(const std::string& rest) { return "apiVersion: v1\nkind: Pod\nmetadata: {name: p}\n" + rest; }
std::string Labelled(const std::string& labels) {
  return "apiVersion: v1\nkind: Pod\nmetadata:\n  name: p\n  labels:\n    " + labels + "\n";
}

// ---- what is read ----

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
  EXPECT_TRUE(p->isolates_ingress);
  EXPECT_TRUE(p->isolates_egress);
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
    return std::string(p->isolates_ingress ? "I" : "") + (p->isolates_egress ? "E" : "");
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

TEST(ParserTest, BothPolicyKindsMayHaveOneName) {
  EXPECT_EQ(Parse(Policy("  {}\n") + "---\n" + SluicePolicy("  {}\n")).size(), 2U);
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

// ---- errors in the text ----

TEST(ParserErrorTest, WrongYamlNamesTheLine) {
  EXPECT_THAT(ErrorOf("apiVersion: v1\nkind: [\n"), StartsWith("f.yaml:3: "));
  EXPECT_THAT(ErrorOf("a: b\n  c: d\n"), StartsWith("f.yaml:2: "));
  EXPECT_THAT(ErrorOf("a: b\n]\n"), StartsWith("f.yaml:2: "));
  EXPECT_THAT(ErrorOf("a: *nothing\n"), StartsWith("f.yaml:1: "));
}

TEST(ParserErrorTest, WhatYamlCppReadsForEverIsRefused) {
  EXPECT_THAT(ErrorOf("--- ,[0,\"]\n"), StartsWith("f.yaml:1: "));
  EXPECT_FALSE(YamlToJson("--- ,\n").ok());
}

TEST(ParserErrorTest, TextAfterTheEndOfADocument) {
  EXPECT_THAT(ErrorOf("{apiVersion: v1, kind: Namespace, metadata: {name: a}}\n{b: c}\n"), StartsWith("f.yaml:2: "));
  EXPECT_THAT(ErrorOf("'a'\n: b\n: c\n"), StartsWith("f.yaml:"));
}

TEST(ParserErrorTest, BytesThatHideText) {
  EXPECT_EQ(ErrorOf("a: b\n\x04\n"), "f.yaml:2: control character 0x04: write it as an escape in double quotes");
  EXPECT_THAT(ErrorOf(std::string("a: b\n\0c", 7)), StartsWith("f.yaml:2: control character 0x00"));
  EXPECT_THAT(ErrorOf("a: b\rc: d\n"), StartsWith("f.yaml:1: control character 0x0d"));
  for (const char* bad :
       {"\xff\xfe", "\x80", "\xc0\xaf", "\xe0\x80\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xe2\x82"}) {
    EXPECT_THAT(ErrorOf(std::string("a: b\nc: '") + bad + "'\n"),
                AllOf(StartsWith("f.yaml:2: "), HasSubstr("not UTF-8")));
  }
}

TEST(ParserErrorTest, DuplicateKeys) {
  EXPECT_EQ(ErrorOf("apiVersion: v1\nkind: Pod\nmetadata:\n  name: a\n  labels: {}\n  name: b\n"),
            "f.yaml:6: duplicate key \"name\": it is already on line 4");
  EXPECT_THAT(ErrorOf("{a: 1, \"a\": 2}"), HasSubstr("key \"a\" again"));
}

TEST(ParserErrorTest, Keys) {
  EXPECT_THAT(ErrorOf("? [a]\n: b\n"), HasSubstr("a key must be a string"));
  EXPECT_THAT(ErrorOf("~: b\n"), HasSubstr("a key must be a string"));
  EXPECT_THAT(ErrorOf("\"a\\0b\": b\n"), HasSubstr("control character"));
  EXPECT_THAT(ErrorOf(std::string(kMaxYamlKeyBytes + 1, 'k') + ": b\n"), HasSubstr("a key of 501 bytes"));
  EXPECT_THAT(ErrorOf("a: {<<: text}\n"), HasSubstr("merges a map"));
}

TEST(ParserErrorTest, TagsAreRefused) {
  EXPECT_THAT(ErrorOf("a: !!binary aGk=\n"), AllOf(StartsWith("f.yaml:1: "), HasSubstr("unsupported tag")));
  EXPECT_THAT(ErrorOf("a: !mine {b: c}\n"), HasSubstr("unsupported tag"));
}

TEST(ParserErrorTest, TooLargeText) {
  const std::string error = ErrorOf(std::string(kMaxResourceBytes + 1, '\n'));
  EXPECT_THAT(error, AllOf(StartsWith("f.yaml: 33554433 bytes"), HasSubstr("at most 33554432")));
  EXPECT_THAT(Parse(std::string(kMaxResourceBytes, '\n')), IsEmpty());
}

TEST(ParserErrorTest, AliasBomb) {
  std::string text =
      "apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec:\n  a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n";
  for (int i = 1; i < 12; ++i) {
    text += fmt::format("  a{}: &a{} [", i, i);
    for (int k = 0; k < 10; ++k) text += fmt::format("{}*a{}", k == 0 ? "" : ", ", i - 1);
    text += "]\n";
  }
  EXPECT_THAT(ErrorOf(text), AllOf(StartsWith("f.yaml:"), HasSubstr("too large")));
}

TEST(ParserErrorTest, AliasBombOfText) {
  std::string text = "a: &a \"" + std::string(1U << 20U, 'x') + "\"\nb: [";
  for (int i = 0; i < 200; ++i) text += "*a, ";
  EXPECT_THAT(ErrorOf(text + "]\n"), HasSubstr("too large"));
}

TEST(ParserErrorTest, MergeBomb) {
  std::string text = "a: &a {";
  for (int i = 0; i < 10000; ++i) text += fmt::format("k{}: v, ", i);
  text += "}\nb: {<<: [";
  for (int i = 0; i < 1000; ++i) text += "*a, ";
  EXPECT_THAT(ErrorOf(text + "]}\n"), HasSubstr("too large"));
}

// Text that would take yaml-cpp seconds and hundreds of megabytes is refused before yaml-cpp sees it.
TEST(ParserErrorTest, ManyBracketsAreRefusedAtOnce) {
  const auto seconds = [](const std::string& text, const std::string& expected) {
    const std::clock_t begin = std::clock();
    EXPECT_THAT(ErrorOf(text), HasSubstr(expected));
    return static_cast<double>(std::clock() - begin) / CLOCKS_PER_SEC;  // of this process's CPU time
  };
  constexpr std::size_t kBytes = 9'000'000;
#ifdef __SANITIZE_ADDRESS__
  constexpr double kLongest = 10;
#else
  constexpr double kLongest = 2;
#endif
  const std::string too_large = "brackets, braces and commas in one document";
  const std::pair<std::string, std::string> kCases[] = {{"{", too_large},
                                                        {"[", "nested more than 40 deep"},
                                                        {"{a: ", too_large},
                                                        {"1,", "more than 4000000 values"},
                                                        {"{\"a\":1},", too_large}};
  for (const auto& [part, expected] : kCases) {
    std::string text = part == "1," || part.ends_with("},") ? "[" : "";
    while (text.size() < kBytes) text += part;
    EXPECT_LT(seconds(text, expected), kLongest) << part;
  }
  // A document start inside an open bracket does not reset the count.
  std::string text;
  while (text.size() < kBytes) text += std::string(1000, '{') + "\n---\n";
  EXPECT_LT(seconds(text, "nested more than 40 deep"), kLongest);
  EXPECT_THAT(ErrorOf("a: [\n---\nb]\n"), StartsWith("f.yaml:"));
}

TEST(ParserTest, ManyFlowDocumentsAreNotOneLargeOne) {
  constexpr std::size_t kDocuments = 25, kOfEach = kMaxYamlFlowIndicators / 20;  // they also count in comments
  std::string text;
  for (std::size_t i = 0; i < kDocuments; ++i) {
    text += fmt::format("---\n# {}\n{{apiVersion: v1, kind: Namespace, metadata: {{name: n{}}}}}\n",
                        std::string(kOfEach, ','), i);
  }
  EXPECT_EQ(Parse(text).size(), kDocuments);
}

TEST(ParserTest, LinesAreCountedOverDocuments) {
  EXPECT_THAT(ErrorOf("# one\n---\n# three\n--- # four\nkind: Nothing\n"), StartsWith("f.yaml:5:"));
  EXPECT_THAT(ErrorOf("---\r\na: |\r\n --- in it\r\n---\r\n{a: 1, a: 2}\r\n"), StartsWith("f.yaml:"));
  EXPECT_THAT(ErrorOf("a: 1\n---x\n"), StartsWith("f.yaml:"));
}

TEST(ParserErrorTest, AliasToItself) {
  EXPECT_THAT(ErrorOf("a: &a [*a]\n"), HasSubstr("an alias inside its own value"));
  EXPECT_THAT(ErrorOf("a: &a {<<: *a}\n"), HasSubstr("an alias inside its own value"));
}

TEST(ParserErrorTest, DeepNesting) {
  for (const char* open : {"[", "{a: ", "- "}) {
    std::string text;
    for (int i = 0; i < 100000; ++i) text += open;
    EXPECT_THAT(ErrorOf(text), AllOf(StartsWith("f.yaml:1: "), HasSubstr("nested more than 40 deep"))) << open;
  }
}

// ---- errors in resources ----

struct ErrorCase {
  const char* name;
  std::string text;
  std::string error;
};

void PrintTo(const ErrorCase& c, std::ostream* out) { *out << c.name; }

class ResourceErrorTest : public testing::TestWithParam<ErrorCase> {};

TEST_P(ResourceErrorTest, NamesLineObjectFieldAndValue) {
  EXPECT_THAT(ErrorOf(GetParam().text), StartsWith(GetParam().error));
}

constexpr char kPolicy[] = "NetworkPolicy shop/db: ";

std::string At(int line, const std::string& rest) { return fmt::format("f.yaml:{}: {}", line, rest); }

const ErrorCase kTypeCases[] = {
    {"NotAMap", "- a\n", At(1, "document 1: must be a map, got a list")},
    {"NoApiVersion", "kind: Pod\n", At(1, "document 1: apiVersion: missing")},
    {"NoKind", "---\n---\napiVersion: v1\n", At(3, "document 2: kind: missing")},
    {"UnknownKind", "apiVersion: apps/v1\nkind: Deployment\n",
     At(2,
        "document 1: kind: apiVersion \"apps/v1\" has no kind \"Deployment\" here; known are v1 List, v1 Namespace, ")},
    {"UnknownApiVersion", "apiVersion: networking.k8s.io/v1beta1\nkind: NetworkPolicy\n",
     At(2, "document 1: kind: apiVersion \"networking.k8s.io/v1beta1\"")},
    {"KindNotString", "apiVersion: v1\nkind: 5\n", At(2, "document 1: kind: must be a string: quote it (\"5\")")},
    {"ListUnknownField", "apiVersion: v1\nkind: List\nitem: []\n", At(3, "document 1: item: unknown field")},
    {"ListItem", "apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: Node}\n",
     At(4, "document 1 items[0]: kind: ")},
};

const ErrorCase kMetadataCases[] = {
    {"NoMetadata", "apiVersion: v1\nkind: Pod\n", At(1, "Pod (document 1): metadata: missing")},
    {"NoName", "apiVersion: v1\nkind: Pod\nmetadata: {generateName: p-}\n",
     At(3, "Pod (document 1): metadata.name: missing")},
    {"BadName", "apiVersion: v1\nkind: Pod\nmetadata:\n  name: Web_1\n",
     At(4, "Pod default/Web_1: metadata.name: \"Web_1\" is not a DNS-1123 subdomain")},
    {"NamespaceWithDot", "apiVersion: v1\nkind: Namespace\nmetadata: {name: a.b}\n",
     At(3, "Namespace a.b: metadata.name: \"a.b\" is not a DNS-1123 label")},
    {"BadNamespace", "apiVersion: v1\nkind: Pod\nmetadata: {name: a, namespace: -b}\n",
     At(3, "Pod -b/a: metadata.namespace: \"-b\" is not a DNS-1123 label")},
    {"NumericName", "apiVersion: v1\nkind: Pod\nmetadata: {name: 12}\n",
     At(3, "Pod default/12: metadata.name: must be a string: quote it (\"12\")")},
    {"UnknownField", "apiVersion: v1\nkind: Pod\nmetadata:\n  name: p\n  label: {}\n",
     At(5, "Pod default/p: metadata.label: unknown field")},
    {"LabelBool", Labelled("on: true"),
     At(6, "Pod default/p: metadata.labels.on: must be a string: quote it (\"true\")")},
    {"LabelYes", Labelled("on: yes"), At(6, "Pod default/p: metadata.labels.on: must be a string: quote it (\"yes\")")},
    {"LabelNumber", Labelled("v: 1.5"),
     At(6, "Pod default/p: metadata.labels.v: must be a string: quote it (\"1.5\")")},
    {"LabelExponent", Labelled("v: 1e10"),
     At(6, "Pod default/p: metadata.labels.v: must be a string: quote it (\"1e10\")")},
    {"LabelHex", Labelled("v: 0x1F"), At(6, "Pod default/p: metadata.labels.v: must be a string: quote it (\"0x1F\")")},
    {"LabelKey", Labelled("a b: c"),
     At(6, "Pod default/p: metadata.labels[\"a b\"]: the key \"a b\" is not a label key")},
    {"LabelKeyPrefix", Labelled("A/b: c"),
     At(6, "Pod default/p: metadata.labels[\"A/b\"]: the key \"A/b\" is not a label key")},
    {"LabelValue", Labelled("a: -c"), At(6, "Pod default/p: metadata.labels.a: \"-c\" is not a label value")},
    {"LabelLong", Labelled("a: " + std::string(64, 'x')), At(6, "Pod default/p: metadata.labels.a: \"xxx")},
    {"AnnotationNumber", "apiVersion: v1\nkind: Pod\nmetadata: {name: p, annotations: {a: 1}}\n",
     At(3, "Pod default/p: metadata.annotations.a: must be a string: quote it (\"1\")")},
    {"MetadataNameLabel",
     "apiVersion: v1\nkind: Namespace\nmetadata: {name: a, labels: {kubernetes.io/metadata.name: b}}\n",
     At(1, "Namespace a: metadata.labels[\"kubernetes.io/metadata.name\"]: must be \"a\"")},
    {"TopLevel", "apiVersion: v1\nkind: Namespace\nmetadata: {name: a}\ndata: {}\n",
     At(4, "Namespace a: data: unknown field")},
};

const ErrorCase kPolicyCases[] = {
    {"NoSpec", "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: db, namespace: shop}\n",
     At(1, std::string(kPolicy) + "spec: missing")},
    {"UnknownTop", Policy("  {}\nspecs: {}\n"), At(6, std::string(kPolicy) + "specs: unknown field")},
    {"UnknownSpec", Policy("  podSelectors: {}\n"), At(5, std::string(kPolicy) + "spec.podSelectors: unknown field")},
    {"UnknownRule", Policy("  ingress:\n  - to: []\n"),
     At(6, std::string(kPolicy) + "spec.ingress[0].to: unknown field")},
    {"UnknownEgressRule", Policy("  egress:\n  - from: []\n"),
     At(6, std::string(kPolicy) + "spec.egress[0].from: unknown field")},
    {"UnknownPeer", Policy("  ingress:\n  - from:\n    - podSelektor: {}\n"),
     At(7, std::string(kPolicy) + "spec.ingress[0].from[0].podSelektor: unknown field")},
    {"SluiceActionInKubernetes", Policy("  ingress:\n  - action: Deny\n"),
     At(6,
        std::string(kPolicy) +
            "spec.ingress[0].action: unknown field: only the NetworkPolicy of apiVersion sluice.dev/v1alpha1 has it")},
    {"SluiceModeInKubernetes", Policy("  mode: Audit\n"),
     At(5, std::string(kPolicy) + "spec.mode: unknown field: only")},
    {"NullRule", Policy("  ingress:\n  - ~\n"),
     At(6, std::string(kPolicy) + "spec.ingress[0]: must be a map, got null")},
    {"RulesNotList", Policy("  ingress: {}\n"),
     At(5, std::string(kPolicy) + "spec.ingress: must be a list, got a map")},
    {"EmptyPeer", Policy("  ingress: [{from: [{}]}]\n"),
     At(5, std::string(kPolicy) + "spec.ingress[0].from[0]: needs podSelector, namespaceSelector or ipBlock")},
    {"MixedPeer", Policy("  egress: [{to: [{podSelector: {}, ipBlock: {cidr: 10.0.0.0/8}}]}]\n"),
     At(5, std::string(kPolicy) + "spec.egress[0].to[0].ipBlock: cannot be combined with")},
    {"BadCidr", Policy("  egress: [{to: [{ipBlock: {cidr: 10.0.0/8}}]}]\n"),
     At(5, std::string(kPolicy) + "spec.egress[0].to[0].ipBlock.cidr: \"10.0.0/8\" is not a CIDR")},
    {"NoCidr", Policy("  egress: [{to: [{ipBlock: {}}]}]\n"),
     At(5, std::string(kPolicy) + "spec.egress[0].to[0].ipBlock.cidr: missing")},
    {"ExceptOutside", Policy("  egress: [{to: [{ipBlock: {cidr: 10.0.0.0/8, except: [10.1.0.0/16, 11.0.0.0/16]}}]}]\n"),
     At(5, std::string(kPolicy) +
               "spec.egress[0].to[0].ipBlock.except[1]: 11.0.0.0/16 is not strictly inside cidr 10.0.0.0/8")},
    {"ExceptSame", Policy("  egress: [{to: [{ipBlock: {cidr: 10.0.0.0/8, except: [10.0.0.0/8]}}]}]\n"),
     At(5, std::string(kPolicy) + "spec.egress[0].to[0].ipBlock.except[0]: 10.0.0.0/8 is not strictly inside")},
    {"ExceptOtherFamily", Policy("  egress: [{to: [{ipBlock: {cidr: 0.0.0.0/0, except: ['fd00::/8']}}]}]\n"),
     At(5, std::string(kPolicy) + "spec.egress[0].to[0].ipBlock.except[0]: fd00::/8 is not strictly inside")},
    {"BadExcept", Policy("  egress: [{to: [{ipBlock: {cidr: 0.0.0.0/0, except: [x]}}]}]\n"),
     At(5, std::string(kPolicy) + "spec.egress[0].to[0].ipBlock.except[0]: \"x\" is not a CIDR")},
    {"EndPortBelow", Policy("  ingress:\n  - ports:\n    - port: 80\n      endPort: 79\n"),
     At(8, std::string(kPolicy) + "spec.ingress[0].ports[0].endPort: 79 is below port 80")},
    {"EndPortNamed", Policy("  ingress: [{ports: [{port: http, endPort: 90}]}]\n"),
     At(5, std::string(kPolicy) + "spec.ingress[0].ports[0].endPort: needs a numeric port, not \"http\"")},
    {"EndPortAlone", Policy("  ingress: [{ports: [{endPort: 90}]}]\n"),
     At(5, std::string(kPolicy) + "spec.ingress[0].ports[0].endPort: needs port")},
    {"EndPortString", Policy("  ingress: [{ports: [{port: 80, endPort: '90'}]}]\n"),
     At(5, std::string(kPolicy) +
               "spec.ingress[0].ports[0].endPort: must be a decimal number from 1 to 65535, got \"90\"")},
    {"PortZero", Policy("  ingress: [{ports: [{port: 0}]}]\n"),
     At(5, std::string(kPolicy) + "spec.ingress[0].ports[0].port: must be a decimal number from 1 to 65535, got 0")},
    {"PortLarge", Policy("  ingress: [{ports: [{port: 65536}]}]\n"),
     At(5,
        std::string(kPolicy) + "spec.ingress[0].ports[0].port: must be a decimal number from 1 to 65535, got 65536")},
    {"PortNegative", Policy("  ingress: [{ports: [{port: -1}]}]\n"),
     At(5, std::string(kPolicy) + "spec.ingress[0].ports[0].port: must be a decimal number")},
    {"PortOctal", Policy("  ingress: [{ports: [{port: 0120}]}]\n"),
     At(5, std::string(kPolicy) + "spec.ingress[0].ports[0].port: must be a decimal number from 1 to 65535, got 0120")},
    {"PortFraction", Policy("  ingress: [{ports: [{port: 80.0}]}]\n"),
     At(5, std::string(kPolicy) + "spec.ingress[0].ports[0].port: must be a decimal number")},
    {"PortHuge", Policy("  ingress: [{ports: [{port: 18446744073709551696}]}]\n"),
     At(5, std::string(kPolicy) + "spec.ingress[0].ports[0].port: must be a decimal number")},
    {"PortQuotedNumber", Policy("  ingress: [{ports: [{port: '80'}]}]\n"),
     At(5, std::string(kPolicy) + "spec.ingress[0].ports[0].port: \"80\" is a string, so it is a port's name")},
    {"PortNameLong", Policy("  ingress: [{ports: [{port: a123456789012345}]}]\n"),
     At(5, std::string(kPolicy) + "spec.ingress[0].ports[0].port: \"a123456789012345\" is not a port name")},
    {"PortNameUpper", Policy("  ingress: [{ports: [{port: HTTP}]}]\n"),
     At(5, std::string(kPolicy) + "spec.ingress[0].ports[0].port: \"HTTP\" is not a port name")},
    {"PortNameHyphens", Policy("  ingress: [{ports: [{port: a--b}]}]\n"),
     At(5, std::string(kPolicy) + "spec.ingress[0].ports[0].port: \"a--b\" is not a port name")},
    {"PortNameEmpty", Policy("  ingress: [{ports: [{port: ''}]}]\n"),
     At(5, std::string(kPolicy) + "spec.ingress[0].ports[0].port: \"\" is not a port name")},
    {"PortMap", Policy("  ingress: [{ports: [{port: {}}]}]\n"),
     At(5, std::string(kPolicy) + "spec.ingress[0].ports[0].port: must be a string, got a map")},
    {"Protocol", Policy("  ingress: [{ports: [{protocol: tcp}]}]\n"),
     At(5, std::string(kPolicy) + "spec.ingress[0].ports[0].protocol: must be TCP, UDP or SCTP, got \"tcp\"")},
    {"PolicyType", Policy("  policyTypes: [ingress]\n"),
     At(5, std::string(kPolicy) + "spec.policyTypes[0]: must be Ingress or Egress, got \"ingress\"")},
    {"Operator", Policy("  podSelector: {matchExpressions: [{key: a, operator: Equals, values: [b]}]}\n"),
     At(5, std::string(kPolicy) + "spec.podSelector.matchExpressions[0].operator: must be In, NotIn, Exists or "
                                  "DoesNotExist, got \"Equals\"")},
    {"OperatorMissing", Policy("  podSelector: {matchExpressions: [{key: a}]}\n"),
     At(5, std::string(kPolicy) + "spec.podSelector.matchExpressions[0].operator: missing")},
    {"KeyMissing", Policy("  podSelector: {matchExpressions: [{operator: Exists}]}\n"),
     At(5, std::string(kPolicy) + "spec.podSelector.matchExpressions[0].key: missing")},
    {"InWithoutValues", Policy("  podSelector: {matchExpressions: [{key: a, operator: In}]}\n"),
     At(5, std::string(kPolicy) + "spec.podSelector.matchExpressions[0]: operator In needs at least one value")},
    {"NotInEmptyValues", Policy("  podSelector: {matchExpressions: [{key: a, operator: NotIn, values: []}]}\n"),
     At(5, std::string(kPolicy) + "spec.podSelector.matchExpressions[0]: operator NotIn needs at least one value")},
    {"ExistsWithValues", Policy("  podSelector: {matchExpressions: [{key: a, operator: Exists, values: [b]}]}\n"),
     At(5, std::string(kPolicy) + "spec.podSelector.matchExpressions[0]: operator Exists takes no values")},
    {"DoesNotExistWithValues",
     Policy("  podSelector: {matchExpressions: [{key: a, operator: DoesNotExist, values: [b]}]}\n"),
     At(5, std::string(kPolicy) + "spec.podSelector.matchExpressions[0]: operator DoesNotExist takes no values")},
    {"SelectorValueNumber", Policy("  podSelector: {matchLabels: {a: 1}}\n"),
     At(5, std::string(kPolicy) + "spec.podSelector.matchLabels.a: must be a string: quote it (\"1\")")},
    {"SelectorUnknown", Policy("  podSelector: {app: web}\n"),
     At(5, std::string(kPolicy) + "spec.podSelector.app: unknown field")},
    {"ProcessesInKubernetes", Policy("  egress:\n  - processes: {binaries: [/a]}\n"),
     At(6, std::string(kPolicy) + "spec.egress[0].processes: unknown field: only")},
    {"UnknownProcessesInKubernetes", Policy("  unknownProcesses: Allow\n"),
     At(5, std::string(kPolicy) + "spec.unknownProcesses: unknown field: only")},
    {"UnknownProcesses", SluicePolicy("  unknownProcesses: Drop\n"),
     At(5, std::string(kPolicy) + "spec.unknownProcesses: must be Deny or Allow, got \"Drop\"")},
    {"ProcessesNull", SluicePolicy("  egress:\n  - ports: [{port: 80}]\n    processes:\n"),
     At(7, std::string(kPolicy) + "spec.egress[0].processes: has no value: give it one, or leave the field out")},
    {"ProcessesTilde", SluicePolicy("  ingress: [{action: Deny, processes: ~}]\n"),
     At(5, std::string(kPolicy) + "spec.ingress[0].processes: has no value")},
    {"ProcessesNullBinaries", SluicePolicy("  egress:\n  - processes: {binaries: ~, ancestors: [/a]}\n"),
     At(6, std::string(kPolicy) + "spec.egress[0].processes.binaries: has no value")},
    {"ProcessesNullAncestors", SluicePolicy("  egress:\n  - processes: {binaries: [/a], ancestors: null}\n"),
     At(6, std::string(kPolicy) + "spec.egress[0].processes.ancestors: has no value")},
    {"ProcessesNotMap", SluicePolicy("  egress:\n  - processes: [/usr/bin/psql]\n"),
     At(6, std::string(kPolicy) + "spec.egress[0].processes: must be a map, got a list")},
    {"ProcessesField", SluicePolicy("  egress:\n  - processes: {binary: [/a]}\n"),
     At(6, std::string(kPolicy) + "spec.egress[0].processes.binary: unknown field")},
    {"ProcessesNeither", SluicePolicy("  egress:\n  - processes: {}\n"),
     At(6, std::string(kPolicy) + "spec.egress[0].processes: needs binaries or ancestors")},
    {"ProcessesEmptyBinaries", SluicePolicy("  egress:\n  - processes: {binaries: [], ancestors: [/a]}\n"),
     At(6, std::string(kPolicy) +
               "spec.egress[0].processes.binaries: needs at least one pattern: leave the field out to match any")},
    {"ProcessesEmptyAncestors", SluicePolicy("  egress:\n  - processes: {ancestors: []}\n"),
     At(6, std::string(kPolicy) + "spec.egress[0].processes.ancestors: needs at least one pattern")},
    {"ProcessesNotList", SluicePolicy("  egress:\n  - processes: {binaries: /usr/bin/psql}\n"),
     At(6, std::string(kPolicy) + "spec.egress[0].processes.binaries: must be a list, got \"/usr/bin/psql\"")},
    {"ProcessesNotString", SluicePolicy("  egress:\n  - processes: {binaries: [/a, 5]}\n"),
     At(6, std::string(kPolicy) + "spec.egress[0].processes.binaries[1]: must be a string: quote it (\"5\")")},
    {"ProcessesRelative", SluicePolicy("  egress:\n  - processes: {ancestors: [/a, bin/psql]}\n"),
     At(6, std::string(kPolicy) + "spec.egress[0].processes.ancestors[1]: \"bin/psql\" is not a pattern of absolute "
                                  "paths: it must start with \"/\" or \"**\"")},
    {"ProcessesOneStar", SluicePolicy("  egress:\n  - processes: {binaries: ['*/psql']}\n"),
     At(6, std::string(kPolicy) + "spec.egress[0].processes.binaries[0]: \"*/psql\" is not a pattern")},
    {"ProcessesQuestionMark", SluicePolicy("  egress:\n  - processes: {binaries: ['?bin']}\n"),
     At(6, std::string(kPolicy) + "spec.egress[0].processes.binaries[0]: \"?bin\" is not a pattern")},
    {"ProcessesEmptyPattern", SluicePolicy("  egress:\n  - processes: {binaries: ['']}\n"),
     At(6, std::string(kPolicy) + "spec.egress[0].processes.binaries[0]: \"\" is not a pattern")},
    {"ProcessesZeroByte", SluicePolicy("  egress:\n  - processes: {binaries: [\"/a\\0b\"]}\n"),
     At(6, std::string(kPolicy) + "spec.egress[0].processes.binaries[0]: \"/a\\x00b\" is not a pattern")},
    {"ProcessesDoubleSlash", SluicePolicy("  egress:\n  - processes: {binaries: ['/usr//bin']}\n"),
     At(6, std::string(kPolicy) + "spec.egress[0].processes.binaries[0]: \"/usr//bin\" matches no program: a path has "
                                  "no component that is empty, \".\" or \"..\"")},
    {"ProcessesDot", SluicePolicy("  egress:\n  - processes: {binaries: ['/usr/./bin']}\n"),
     At(6, std::string(kPolicy) + "spec.egress[0].processes.binaries[0]: \"/usr/./bin\" matches no program: a path has "
                                  "no component that is empty, \".\" or \"..\"")},
    {"ProcessesDotDot", SluicePolicy("  egress:\n  - processes: {binaries: ['/usr/../bin']}\n"),
     At(6, std::string(kPolicy) + "spec.egress[0].processes.binaries[0]: \"/usr/../bin\" matches no program: a path "
                                  "has no component that is empty, \".\" or \"..\"")},
    {"ProcessesLastDot", SluicePolicy("  egress:\n  - processes: {binaries: ['/usr/.']}\n"),
     At(6, std::string(kPolicy) + "spec.egress[0].processes.binaries[0]: \"/usr/.\" matches no program: a path has no "
                                  "component that is empty, \".\" or \"..\"")},
    {"ProcessesLastDotDot", SluicePolicy("  egress:\n  - processes: {binaries: ['/usr/..']}\n"),
     At(6, std::string(kPolicy) + "spec.egress[0].processes.binaries[0]: \"/usr/..\" matches no program: a path has no "
                                  "component that is empty, \".\" or \"..\"")},
    {"ProcessesLastSlash", SluicePolicy("  egress:\n  - processes: {binaries: ['/usr/bin/']}\n"),
     At(6, std::string(kPolicy) + "spec.egress[0].processes.binaries[0]: \"/usr/bin/\" matches no program: a path has "
                                  "no component that is empty, \".\" or \"..\"")},
    {"ProcessesRoot", SluicePolicy("  egress:\n  - processes: {binaries: ['/']}\n"),
     At(6, std::string(kPolicy) + "spec.egress[0].processes.binaries[0]: \"/\" matches no program: a path has no "
                                  "component that is empty, \".\" or \"..\"")},
    {"ProcessesStarsDotDot", SluicePolicy("  egress:\n  - processes: {binaries: ['**/../x']}\n"),
     At(6, std::string(kPolicy) + "spec.egress[0].processes.binaries[0]: \"**/../x\" matches no program: a path has no "
                                  "component that is empty, \".\" or \"..\"")},
    {"ProcessesLong", SluicePolicy("  egress:\n  - processes: {binaries: [/" + std::string(511, 'x') + "]}\n"),
     At(6, std::string(kPolicy) +
               "spec.egress[0].processes.binaries[0]: a pattern of 512 bytes: at most 511 are matched")},
    {"Action", SluicePolicy("  ingress: [{action: Drop}]\n"),
     At(5, std::string(kPolicy) + "spec.ingress[0].action: must be Allow, Deny or Audit, got \"Drop\"")},
    {"Mode", SluicePolicy("  mode: Off\n"),
     At(5, std::string(kPolicy) + "spec.mode: must be a string: quote it (\"Off\")")},
    {"ModeUnknown", SluicePolicy("  mode: Dry\n"),
     At(5, std::string(kPolicy) + "spec.mode: must be Enforce or Audit, got \"Dry\"")},
    {"SluiceUnknown", SluicePolicy("  modes: Audit\n"), At(5, std::string(kPolicy) + "spec.modes: unknown field")},
    {"Twice", Policy("  {}\n") + "---\n" + Policy("  {}\n"),
     At(7, std::string(kPolicy) + "defined twice: the first definition is on line 1")},
    {"TwiceByDefaultNamespace", Policy("  {}\n", "name: a") + "---\n" + Policy("  {}\n", "name: a, namespace: default"),
     At(7, "NetworkPolicy default/a: defined twice")},
};

const ErrorCase kWorkloadCases[] = {
    {"NoSpec", "apiVersion: sluice.dev/v1alpha1\nkind: Workload\nmetadata: {name: w}\n",
     At(1, "Workload default/w: spec: missing")},
    {"UnknownField", Workload("  netns: /n\n  ip: [10.0.0.1]\n"), At(6, "Workload default/w: spec.ip: unknown field")},
    {"UnknownTop", Workload("  netns: /n\nstatus: {}\n"), At(6, "Workload default/w: status: unknown field")},
    {"Neither", Workload("  interface: eth0\n"), At(4, "Workload default/w: spec: needs netns or hostInterface")},
    {"Both", Workload("  netns: /n\n  hostInterface: v\n"),
     At(6, "Workload default/w: spec.hostInterface: cannot be combined with netns")},
    {"RelativeNetns", Workload("  netns: web-0\n"),
     At(5, "Workload default/w: spec.netns: \"web-0\" is not an absolute path")},
    {"InterfaceName", Workload("  hostInterface: a/b\n"),
     At(5, "Workload default/w: spec.hostInterface: \"a/b\" is not the name of a network interface")},
    {"InterfaceLong", Workload("  hostInterface: a234567890123456\n"),
     At(5, "Workload default/w: spec.hostInterface: ")},
    {"BadIp", Workload("  netns: /n\n  ips: [10.1.0.2, 10.1.0]\n"),
     At(6, "Workload default/w: spec.ips[1]: \"10.1.0\" is not an IPv4 or IPv6 address")},
    {"MulticastIp", Workload("  netns: /n\n  ips: [224.0.0.1]\n"),
     At(6, "Workload default/w: spec.ips[0]: \"224.0.0.1\" is not a host address")},
    {"LoopbackIp", Workload("  netns: /n\n  ips: ['::1']\n"),
     At(6, "Workload default/w: spec.ips[0]: \"::1\" is not a host address")},
    {"WildcardIp", Workload("  netns: /n\n  ips: [0.0.0.0]\n"),
     At(6, "Workload default/w: spec.ips[0]: \"0.0.0.0\" is not a host address")},
    {"DuplicateIp", Workload("  netns: /n\n  ips: ['fd00::2', 'fd00:0::2']\n"),
     At(6, "Workload default/w: spec.ips[1]: fd00::2 is listed twice")},
    {"PortName", Workload("  netns: /n\n  ports: [{name: Http, port: 80}]\n"),
     At(6, "Workload default/w: spec.ports[0].name: \"Http\" is not a port name")},
    {"PortMissing", Workload("  netns: /n\n  ports: [{name: http}]\n"),
     At(6, "Workload default/w: spec.ports[0].port: missing")},
    {"PortTwice", Workload("  netns: /n\n  ports: [{name: a, port: 80}, {name: a, port: 81}]\n"),
     At(6, "Workload default/w: spec.ports[1]: the name \"a\" is used twice")},
    {"PortUnknown", Workload("  netns: /n\n  ports: [{name: a, containerPort: 80}]\n"),
     At(6, "Workload default/w: spec.ports[0].containerPort: unknown field")},
    {"Cgroup", Workload("  netns: /n\n  cgroup: kubepods\n"),
     At(6, "Workload default/w: spec.cgroup: \"kubepods\" is not an absolute path")},
    {"PodTop", Pod("data: {}\n"), At(4, "Pod default/p: data: unknown field")},
    {"PodIp", Pod("status: {podIPs: [{ip: x}]}\n"),
     At(4, "Pod default/p: status.podIPs[0].ip: \"x\" is not an IPv4 or IPv6 address")},
    {"PodIpMissing", Pod("status: {podIPs: [{}]}\n"), At(4, "Pod default/p: status.podIPs[0].ip: missing")},
    {"PodPhase", Pod("status: {phase: running}\n"), At(4, "Pod default/p: status.phase: must be Pending, Running")},
    {"PodHostNetwork", Pod("spec: {hostNetwork: 'true'}\n"),
     At(4, "Pod default/p: spec.hostNetwork: must be true or false, got \"true\"")},
    {"PodContainerPort", Pod("spec: {containers: [{ports: [{containerPort: 0}]}]}\n"),
     At(4, "Pod default/p: spec.containers[0].ports[0].containerPort: must be a decimal number")},
};

std::string CaseName(const testing::TestParamInfo<ErrorCase>& info) { return info.param.name; }
INSTANTIATE_TEST_SUITE_P(Type, ResourceErrorTest, testing::ValuesIn(kTypeCases), CaseName);
INSTANTIATE_TEST_SUITE_P(Metadata, ResourceErrorTest, testing::ValuesIn(kMetadataCases), CaseName);
INSTANTIATE_TEST_SUITE_P(Policy, ResourceErrorTest, testing::ValuesIn(kPolicyCases), CaseName);
INSTANTIATE_TEST_SUITE_P(Workload, ResourceErrorTest, testing::ValuesIn(kWorkloadCases), CaseName);

TEST(ParserErrorTest, OneBadDocumentFailsTheCall) {
  EXPECT_THAT(ErrorOf(Policy("  {}\n") + "---\nkind: Pod\n"), At(7, "document 2: apiVersion: missing"));
}

TEST(ParserErrorTest, MessagesArePrintableAndShort) {
  const std::string error = ErrorOf(Labelled("a: \"\\e[31m\\n" + std::string(100000, 'x') + "\""));
  EXPECT_LT(error.size(), 1100U);
  EXPECT_THAT(error, AllOf(testing::Not(HasSubstr("\x1b")), testing::Not(HasSubstr("\n"))));
}

// ---- the normal form ----

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
