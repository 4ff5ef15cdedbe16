// Which pods, containers and nodes a policy is for.
#include "policy/lsm/select.h"
#include "tests/unit/policy_lsm/policies.h"

namespace sluice::policy::lsm {
namespace {

std::string WithSelector(const std::string& selector) { return "{presets: [{name: exec}], " + selector + "}"; }

bool SelectsPod(const std::string& selector, const ContainerFacts& facts, Policy::Kind kind = Policy::Kind::kPods) {
  return Selects(*PolicyOf(WithSelector(selector), {.kind = kind}), facts);
}

bool SelectsNode(const std::string& selector, const NodeFacts& facts) {
  return Selects(*PolicyOf(WithSelector(selector), {.kind = Policy::Kind::kHost}), facts);
}

const ContainerFacts kWeb{.ns = "shop", .labels = {{"app", "web"}, {"tier", "front"}}, .container = "nginx"};

TEST(LsmSelection, LabelsAreAnded) {
  EXPECT_TRUE(SelectsPod("selector: {matchLabels: {app: web}}", kWeb));
  EXPECT_TRUE(SelectsPod("selector: {matchLabels: {app: web, tier: front}}", kWeb));
  EXPECT_FALSE(SelectsPod("selector: {matchLabels: {app: web, tier: back}}", kWeb));
  EXPECT_FALSE(SelectsPod("selector: {matchLabels: {other: ''}}", kWeb));
  EXPECT_TRUE(SelectsPod("selector: {}", kWeb));
  EXPECT_TRUE(SelectsPod("message: a", kWeb));
  ContainerFacts elsewhere = kWeb;
  elsewhere.ns = "ops";
  EXPECT_FALSE(SelectsPod("selector: {matchLabels: {app: web}}", elsewhere));
}

TEST(LsmSelection, ExpressionsAreSetsOfLabels) {
  const auto selects = [](const std::string& op, const std::string& values) {
    return SelectsPod("selector: {matchExpressions: [{key: label, operator: " + op + ", values: [" + values + "]}]}",
                      kWeb);
  };
  EXPECT_TRUE(selects("In", "app=db, app=web"));
  EXPECT_FALSE(selects("In", "app=db"));
  EXPECT_TRUE(selects("NotIn", "app=db, tier=back"));
  EXPECT_FALSE(selects("NotIn", "app=db, tier=front"));
  EXPECT_FALSE(
      SelectsPod("selector: {matchLabels: {app: web}, matchExpressions: [{key: label, operator: NotIn, values: "
                 "[tier=front]}]}",
                 kWeb));
}

TEST(LsmSelection, ContainersAreChosenByName) {
  const auto selects = [](const std::string& value) {
    return SelectsPod("selector: {matchLabels: {kubearmor.io/container.name: '" + value + "'}}", kWeb);
  };
  EXPECT_TRUE(selects("nginx"));
  EXPECT_TRUE(selects("[nginx]"));
  EXPECT_TRUE(selects("[a, nginx]"));
  EXPECT_FALSE(selects("[a,b]"));
  EXPECT_FALSE(selects("sidecar"));
}

TEST(LsmSelection, ClusterPoliciesChooseNamespaces) {
  const auto selects = [](const std::string& expressions) {
    return SelectsPod("selector: {matchExpressions: [" + expressions + "]}", kWeb, Policy::Kind::kCluster);
  };
  EXPECT_TRUE(selects("{key: namespace, operator: In, values: [ops, shop]}"));
  EXPECT_FALSE(selects("{key: namespace, operator: In, values: [ops]}"));
  EXPECT_FALSE(selects("{key: namespace, operator: NotIn, values: [shop]}"));
  EXPECT_TRUE(
      selects("{key: namespace, operator: NotIn, values: [ops]}, {key: label, operator: In, values: [app=web]}"));
  EXPECT_FALSE(selects("{key: namespace, operator: In, values: [shop]}, {key: label, operator: In, values: [app=db]}"));
  EXPECT_TRUE(SelectsPod("message: a", kWeb, Policy::Kind::kCluster));
}

TEST(LsmSelection, HostPoliciesChooseNodes) {
  const NodeFacts node{.hostname = "worker-1", .labels = {{"zone", "a"}}};
  const auto selects = [&](const std::string& labels) {
    return SelectsNode("nodeSelector: {matchLabels: {" + labels + "}}", node);
  };
  EXPECT_TRUE(selects("kubernetes.io/hostname: worker-1"));
  EXPECT_TRUE(selects("kubearmor.io/hostname: '*'"));
  EXPECT_TRUE(selects("kubearmor.io/hostname: 'worker-0, worker-1'"));
  EXPECT_FALSE(selects("kubearmor.io/hostname: worker"));
  EXPECT_TRUE(selects("kubearmor.io/hostnamereg: 'worker-[0-9]'"));
  EXPECT_TRUE(selects("kubearmor.io/hostnamereg: 'ork'"));
  EXPECT_FALSE(selects("kubearmor.io/hostnamereg: '^ork'"));
  EXPECT_TRUE(selects("zone: a"));
  EXPECT_FALSE(selects("zone: b, kubearmor.io/hostname: '*'"));
  EXPECT_TRUE(SelectsNode("message: a", node));
  const auto host = PolicyOf(WithSelector("message: a"), {.kind = Policy::Kind::kHost});
  EXPECT_FALSE(Selects(*host, kWeb));
  EXPECT_FALSE(Selects(*PolicyOf(WithSelector("message: a")), node));
}

TEST(LsmSelection, IsChecked) {
  const auto labels = [](const std::string& text) { return WithSelector("selector: {matchLabels: {" + text + "}}"); };
  const auto expression = [](const std::string& text) {
    return WithSelector("selector: {matchExpressions: [{" + text + "}]}");
  };
  const std::string first = "spec.selector.matchExpressions[0]";
  const std::string container = "spec.selector.matchLabels[\"kubearmor.io/container.name\"]: ";
  Check({
      {labels("app: web"), WithSelector("selector: {app: web}"),
       "spec.selector.app: unknown field: known are matchLabels, matchExpressions"},
      {labels("app: web"), labels("app: 'a b'"),
       "spec.selector.matchLabels.app: \"a b\" is not a label value: at most 63 letters, digits, \"-\", \"_\" and "
       "\".\", a "
       "letter or digit at both ends"},
      {labels("kubearmor.io/container.name: '[a, b]'"), labels("kubearmor.io/container.name: '[]'"),
       container + "names no container: leave it out to select all"},
      {labels("kubearmor.io/container.name: a"), labels("kubearmor.io/container.name: '[a,,]'"),
       container + "names no container: leave it out to select all"},
      {expression("key: label, operator: In, values: [a=b]"), expression("key: label, operator: In, values: [a]"),
       first + ".values[0]: must be KEY=VALUE, got \"a\""},
      {expression("key: label, operator: NotIn, values: [a=b]"),
       expression("key: label, operator: Exists, values: [a=b]"),
       first + ".operator: must be In or NotIn, got \"Exists\""},
      {expression("key: label, operator: In, values: [a=b]"), expression("key: pod, operator: In, values: [a=b]"),
       first + ".key: must be label or namespace, got \"pod\""},
      {expression("key: label, operator: In, values: [a=b]"), expression("key: namespace, operator: In, values: [a]"),
       first + ".key: a KubeArmorPolicy is for pods of its namespace: use a KubeArmorClusterPolicy"},
      {expression("key: label, operator: In, values: [a=b]"), expression("key: label, operator: In, values: []"),
       first + ": needs at least one value"},
      {labels("app: web"), WithSelector("nodeSelector: {}"),
       "spec.nodeSelector: unknown field: known are severity, tags, message, action, selector, process, file, network, "
       "capabilities, syscalls, presets, apparmor"},
  });
  Check({{WithSelector("nodeSelector: {matchLabels: {kubearmor.io/hostnamereg: 'a.*'}}"),
          WithSelector("nodeSelector: {matchLabels: {kubearmor.io/hostnamereg: 'a['}}"),
          "spec.nodeSelector.matchLabels[\"kubearmor.io/hostnamereg\"]: \"a[\" is no regular expression: missing ]: ["},
         {WithSelector("nodeSelector: {matchLabels: {kubernetes.io/hostname: a}}"),
          WithSelector("nodeSelector: {matchLabels: {kubernetes.io/hostname: 'a,'}}"),
          "spec.nodeSelector.matchLabels[\"kubernetes.io/hostname\"]: \"\" is not a DNS-1123 subdomain: at most 253 "
          "lower-case letters, digits, \"-\" and \".\", a letter or digit at both ends of each part"}},
        Policy::Kind::kHost);
  Check({{WithSelector("selector: {matchExpressions: [{key: namespace, operator: In, values: [a]}]}"),
          WithSelector("selector: {matchLabels: {a: b}}"),
          "spec.selector.matchLabels: unknown field: known are matchExpressions"}},
        Policy::Kind::kCluster);
}

}  // namespace
}  // namespace sluice::policy::lsm
