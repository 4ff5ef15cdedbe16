// Files from practice: other kinds beside policies, lists, JSON, templates; and all errors in one report.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "policy/resource/parser.h"

namespace sluice::policy {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

std::string PolicyFile(const std::string& metadata, const std::string& spec = "{podSelector: {}}") {
  return "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: " + metadata + "\nspec: " + spec + "\n";
}

std::vector<std::string> ProblemLines(const std::vector<Problem>& problems) {
  std::vector<std::string> lines;
  for (const Problem& problem : problems) {
    lines.push_back(
        fmt::format("{}:{} {}: {}", problem.place.line, problem.place.column, problem.object, problem.what));
  }
  return lines;
}

std::vector<std::string> Names(const ParsedText& parsed) {
  EXPECT_THAT(ProblemLines(parsed.problems), IsEmpty());
  EXPECT_EQ(parsed.resources.size(), parsed.places.size());
  std::vector<std::string> names;
  for (const Resource& resource : parsed.resources) names.push_back(resource.id.ToString());
  return names;
}

constexpr char kBeside[] =
    "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\n---\n"
    "apiVersion: rbac.authorization.k8s.io/v1\nkind: RoleBinding\nmetadata: {name: r}\n---\n"
    "apiVersion: policy/v1\nkind: PodDisruptionBudget\nmetadata: {name: p}\n---\n"
    "resources: [a.yaml]\n---\n"
    "- a list\n---\n";

TEST(SkipUnknown, LeavesOutWhatIsNeverPolicyAndSaysSo) {
  const ParsedText parsed =
      ParseText("f.yaml", kBeside + PolicyFile("{name: db, namespace: shop}"), {.skip_unknown = true});
  EXPECT_THAT(Names(parsed), ElementsAre("NetworkPolicy shop/db"));
  std::vector<std::string> skipped;
  for (const Problem& one : parsed.skipped) skipped.push_back(SkippedText("f.yaml", one));
  EXPECT_THAT(skipped, ElementsAre("f.yaml:1: Deployment/web: left out: neither policy nor workload",
                                   "f.yaml:5: RoleBinding/r: left out: neither policy nor workload",
                                   "f.yaml:9: PodDisruptionBudget/p: left out: neither policy nor workload",
                                   "f.yaml:13: document 4: left out: not a Kubernetes object: it has no apiVersion and "
                                   "no kind",
                                   "f.yaml:15: document 5: left out: not a Kubernetes object: it has no apiVersion and "
                                   "no kind"));
}

TEST(SkipUnknown, IsAskedFor) {
  EXPECT_THAT(ProblemLines(ParseText("f.yaml", kBeside).problems).front(), HasSubstr("has no kind \"Deployment\""));
}

TEST(SkipUnknown, PoliciesOfOtherKindsStayErrors) {
  for (const std::string type :
       {"apiVersion: cilium.io/v2\nkind: CiliumNetworkPolicy",
        "apiVersion: networking.k8s.io/v1beta1\nkind: NetworkPolicy",
        "apiVersion: policy.networking.k8s.io/v1alpha1\nkind: AdminNetworkPolicy",
        "apiVersion: crd.projectcalico.org/v1\nkind: GlobalNetworkPolicy",
        "apiVersion: cilium.io/v1alpha1\nkind: TracingPolicy", "apiVersion: sluice.dev/v2\nkind: Anything",
        "apiVersion: apps/v1\nkind: Pod", "kind: NetworkPolicy"}) {
    const ParsedText parsed = ParseText("f.yaml", type + "\nmetadata: {name: a}\n", {.skip_unknown = true});
    EXPECT_EQ(parsed.problems.size(), 1U) << type;
    EXPECT_THAT(parsed.skipped, IsEmpty()) << type;
  }
}

TEST(SkipUnknown, WhatIsWrongInAKnownKindStaysAnError) {
  const auto parsed = ParseText("f.yaml", kBeside + PolicyFile("{name: db}", "{pods: {}}"), {.skip_unknown = true});
  EXPECT_THAT(ProblemLines(parsed.problems), Not(IsEmpty()));
}

TEST(DefaultNamespace, IsTakenWhereNoneIsNamedAndKept) {
  const std::string text = PolicyFile("{name: a}") + "---\n" + PolicyFile("{name: b, namespace: shop}") +
                           "---\napiVersion: v1\nkind: Namespace\nmetadata: {name: ops}\n";
  const ParsedText parsed = ParseText("f.yaml", text, {.default_namespace = "ops"});
  EXPECT_THAT(Names(parsed), ElementsAre("NetworkPolicy ops/a", "NetworkPolicy shop/b", "Namespace ops"));
  EXPECT_EQ(parsed.without_namespace, 1U);
  // The normal form is read again without the option.
  EXPECT_EQ(ParseResources("state", parsed.resources[0].yaml)->front().id.name.ns, "ops");
  EXPECT_THAT(Names(ParseText("f.yaml", text)),
              ElementsAre("NetworkPolicy default/a", "NetworkPolicy shop/b", "Namespace ops"));
}

TEST(Lists, OfOneKindImplyIt) {
  const std::string text =
      "apiVersion: v1\nkind: PodList\nmetadata: {resourceVersion: '1'}\nitems:\n"
      "- metadata: {name: a, namespace: shop}\n- {apiVersion: v1, kind: Pod, metadata: {name: b}}\n---\n"
      "apiVersion: v1\nkind: NamespaceList\nitems: [{metadata: {name: shop}}]\n---\n"
      "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicyList\nitems:\n"
      "- {metadata: {name: db}, spec: {podSelector: {}}}\n";
  const ParsedText parsed = ParseText("f.yaml", text);
  EXPECT_THAT(Names(parsed), ElementsAre("Pod shop/a", "Pod default/b", "Namespace shop", "NetworkPolicy default/db"));
  for (const Resource& resource : parsed.resources) {
    const auto again = ParseResources("state", resource.yaml);
    ASSERT_TRUE(again.ok()) << again.status();
    EXPECT_EQ(again->front().id, resource.id);
  }
  EXPECT_THAT(
      ProblemLines(ParseText("f.yaml", "apiVersion: v1\nkind: PodList\nitems:\n- {kind: Namespace}\n").problems),
      ElementsAre("4:3 : v1 Namespace in a list of v1 Pod"));
}

TEST(Json, ValuesInARowAreDocuments) {
  const ParsedText parsed = ParseText("f.json",
                                      "{\"apiVersion\": \"v1\", \"kind\": \"Namespace\",\n"
                                      " \"metadata\": {\"name\": \"a\"}}\n"
                                      "{\"apiVersion\": \"v1\", \"kind\": \"Namespace\", \"metadata\": "
                                      "{\"name\": \"b\", \"labels\": {\"x\": null}}}{\"apiVersion\": \"v1\", \"kind\": "
                                      "\"Namespace\", \"metadata\": {\"name\": \"c\"}}\n");
  EXPECT_THAT(Names(parsed), ElementsAre("Namespace a", "Namespace b", "Namespace c"));
  EXPECT_EQ(parsed.places[1].line, 3);
}

TEST(Json, CharactersInTwoEscapesAreOne) {
  const ParsedText parsed =
      ParseText("f.json",
                "{\"apiVersion\": \"v1\", \"kind\": \"Namespace\", \"metadata\": {\"name\": \"a\", "
                "\"annotations\": {\"smile\": \"\\ud83d\\ude00\"}}}");
  EXPECT_THAT(Names(parsed), ElementsAre("Namespace a"));
  EXPECT_THAT(parsed.resources[0].yaml, HasSubstr("\xF0\x9F\x98\x80"));
}

TEST(Json, SaysWhere) {
  const std::string text =
      "{\"apiVersion\": \"v1\",\n \"kind\": \"Pod\", \"metadata\": {\"name\": \"a\\\"\\\\\"},\n"
      "  \"spec\": {\"hostNetwork\": 12,\n  \"containers\": [{\"ports\": [{\"containerPort\": 70000}]}]}}";
  EXPECT_THAT(ProblemLines(ParseText("f.json", text).problems).front(), HasSubstr("2:30 Pod/a"));
  const std::string twice = "{\"apiVersion\": \"v1\",\n\"kind\": \"Pod\", \"kind\": \"Pod\"}";
  EXPECT_THAT(ProblemLines(ParseText("f.json", twice).problems),
              ElementsAre("2:16 : duplicate key \"kind\": it is already on line 2"));
}

TEST(Json, IsYamlWhereItIsNoJson) {
  EXPECT_THAT(Names(ParseText("f.yaml", "{apiVersion: v1, kind: Namespace, metadata: {name: a}}")),
              ElementsAre("Namespace a"));
  EXPECT_THAT(Names(ParseText("f.yaml",
                              "--- \n{\"apiVersion\": \"v1\", \"kind\": \"Namespace\", \"metadata\": "
                              "{\"name\": \"a\"}}\n---\napiVersion: v1\nkind: Namespace\nmetadata: "
                              "{name: b}\n")),
              ElementsAre("Namespace a", "Namespace b"));
  EXPECT_THAT(ProblemLines(ParseText("f.yaml", "{\"a\": 1} {\"b\": }").problems), Not(IsEmpty()));
}

TEST(AsTheApiServer, TakesNullLabelsAndANamespaceInANamespace) {
  const ParsedText parsed = ParseText(
      "f.yaml",
      "apiVersion: v1\nkind: Namespace\nmetadata: {name: a, namespace: b, labels: {x: null}, annotations: {y: }}\n");
  EXPECT_THAT(Names(parsed), ElementsAre("Namespace a"));
  EXPECT_EQ(parsed.resources[0].ns->labels.at("x"), "");
}

TEST(AllErrors, OfAllDocumentsItemsAndFields) {
  const ParsedText parsed =
      ParseText("f.yaml",
                "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: a}\nspec:\n  podSelector: {}\n"
                "  one: 1\n  two: 2\n---\n"
                "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: b}\nspec:\n  podSelector: {}\n"
                "  ingress:\n  - ports: [{port: 70000}, {port: 80}, {port: 0}]\n  - from: [{ipBlock: {cidr: x}}]\n---\n"
                "kind: Pod\n---\n" +
                    PolicyFile("{name: right}"));
  EXPECT_THAT(
      ProblemLines(parsed.problems),
      ElementsAre("6:3 NetworkPolicy/a: spec.one: unknown field", "7:3 NetworkPolicy/a: spec.two: unknown field",
                  HasSubstr("15:14 NetworkPolicy/b: spec.ingress[0].ports[0].port: must be"),
                  HasSubstr("NetworkPolicy/b: spec.ingress[0].ports[2].port: must be"),
                  HasSubstr("NetworkPolicy/b: spec.ingress[1].from[0].ipBlock.cidr: "), "18:1 : apiVersion: missing"));
  EXPECT_EQ(parsed.resources.size(), 1U);
  // One error contains all of them, each in its line.
  const Status status = ToStatus("f.yaml", parsed.problems);
  EXPECT_EQ(std::count(status.message().begin(), status.message().end(), '\n'), 5);
}

TEST(AllErrors, AreBoundedInACallsError) {
  std::string text;
  for (int i = 0; i < 5000; ++i) text += "---\nkind: Pod\n";
  const Status status = ParseResources("f.yaml", text).status();
  EXPECT_LT(status.message().size(), 4200U);
  EXPECT_THAT(Message(status), HasSubstr(" more"));
}

TEST(Hints, NameTemplatesAndWhatKubernetesEnded) {
  const auto first = [](const std::string& text) {
    const auto lines = ProblemLines(ParseText("f.yaml", text).problems);
    return lines.empty() ? "no problem" : lines.front();
  };
  EXPECT_THAT(first("apiVersion: v1\nkind: Namespace\nmetadata:\n  name: {{ .Values.name }}\n"), HasSubstr("Helm"));
  EXPECT_THAT(first("{{- if .Values.on }}\napiVersion: v1\nkind: Namespace\n{{- end }}\n"), HasSubstr("Helm"));
  EXPECT_THAT(first("apiVersion: v1\nkind: Namespace\nmetadata:\n  name: ${NAME}\n"), HasSubstr("envsubst"));
  EXPECT_THAT(first("apiVersion: extensions/v1beta1\nkind: NetworkPolicy\nmetadata: {name: a}\n"),
              HasSubstr("removed in Kubernetes 1.16: write apiVersion networking.k8s.io/v1"));
  EXPECT_THAT(first("apiVersion: v1\nkind: Namespace\nmetadata: {name: A}\n"), Not(HasSubstr("Helm")));
  EXPECT_THAT(first(PolicyFile("{name: a}") + "---\n" + PolicyFile("{name: a}")),
              HasSubstr("defined twice: the first definition is on line 1. Kubernetes would keep the last"));
}

TEST(PodTemplates, AreThePodsThatTheyMake) {
  const std::string pod =
      "{metadata: {labels: {app: web}}, spec: {containers: [{ports: [{name: http, containerPort: "
      "8080}]}]}}";
  const std::string text =
      "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web, namespace: shop}\nspec: "
      "{replicas: 2, template: " +
      pod +
      "}\n---\n"
      "apiVersion: batch/v1\nkind: CronJob\nmetadata: {name: web, namespace: shop}\nspec: "
      "{jobTemplate: {spec: {template: " +
      pod + "}}}\n";
  const ParsedText parsed = ParseText("f.yaml", text, {.pod_templates = true});
  EXPECT_THAT(Names(parsed), ElementsAre("Pod shop/deployment/web", "Pod shop/cronjob/web"));
  for (const Resource& resource : parsed.resources) {
    EXPECT_EQ(resource.pod->labels, (Labels{{"app", "web"}}));
    EXPECT_THAT(resource.pod->ports, ElementsAre(NamedPort{"http", 8080, kTcp}));
  }
  EXPECT_THAT(
      ProblemLines(ParseText("f.yaml", "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\nspec: {}\n",
                             {.pod_templates = true})
                       .problems),
      ElementsAre("4:1 Deployment/web: spec.template: missing"));
}

}  // namespace
}  // namespace sluice::policy
