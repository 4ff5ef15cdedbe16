// Which workloads a policy is for.
#include "policy/tracing/scope.h"
#include "tests/unit/policy_tracing/specs.h"

namespace sluice::policy::tracing {
namespace {

const ObjectName kCluster{.ns = "", .name = "p"};
const ObjectName kShop{.ns = "shop", .name = "p"};

Subject HostSubject() { return {.host = true}; }
Subject ContainerSubject(const std::string& ns, const std::string& app, const std::string& container) {
  return {.host = false, .ns = ns, .labels = {{"app", app}}, .container = container, .repository = "repo/" + container};
}

Scope ScopeOf(const std::string& fields) {
  const auto policy = PolicyOf("{" + fields + (fields.empty() ? "" : ", ") + "kprobes: [{call: sys_dup}]}");
  return policy == nullptr ? Scope() : policy->scope;
}

TEST(TracingScope, WithoutSelectorsEverythingIsIncluded) {
  EXPECT_TRUE(Includes(Scope(), kCluster, HostSubject()));
  EXPECT_TRUE(Includes(Scope(), kCluster, ContainerSubject("shop", "web", "c")));
  EXPECT_TRUE(Includes(ScopeOf("hostSelector: null"), kCluster, ContainerSubject("shop", "web", "c")));
}

TEST(TracingScope, OfANamespaceItsPodsOnly) {
  EXPECT_TRUE(Includes(Scope(), kShop, ContainerSubject("shop", "web", "c")));
  EXPECT_FALSE(Includes(Scope(), kShop, ContainerSubject("other", "web", "c")));
  EXPECT_FALSE(Includes(Scope(), kShop, HostSubject()));
  const Scope pods = ScopeOf("podSelector: {matchLabels: {app: web}}");
  EXPECT_TRUE(Includes(pods, kShop, ContainerSubject("shop", "web", "c")));
  EXPECT_FALSE(Includes(pods, kShop, ContainerSubject("shop", "db", "c")));
  EXPECT_FALSE(Includes(pods, kShop, ContainerSubject("other", "web", "c")));
  Scope host;  // of a matchWorkloads
  host.host = true;
  EXPECT_FALSE(Includes(host, kShop, HostSubject()));
}

TEST(TracingScope, PodsByTheirLabels) {
  const Scope pods = ScopeOf("podSelector: {matchLabels: {app: web}}");
  EXPECT_TRUE(Includes(pods, kCluster, ContainerSubject("shop", "web", "c")));
  EXPECT_FALSE(Includes(pods, kCluster, ContainerSubject("shop", "db", "c")));
  EXPECT_FALSE(Includes(pods, kCluster, HostSubject()));
  const Scope any = ScopeOf("podSelector: {}");
  EXPECT_TRUE(Includes(any, kCluster, ContainerSubject("shop", "db", "c")));
  EXPECT_FALSE(Includes(any, kCluster, HostSubject()));
  const Scope without = ScopeOf("podSelector: {matchExpressions: [{key: tier, operator: DoesNotExist}]}");
  EXPECT_TRUE(Includes(without, kCluster, ContainerSubject("shop", "db", "c")));
  EXPECT_FALSE(Includes(without, kCluster, HostSubject()));
}

TEST(TracingScope, ContainersByNameAndRepository) {
  const Scope name = ScopeOf("containerSelector: {matchLabels: {name: main}}");
  EXPECT_TRUE(Includes(name, kCluster, ContainerSubject("shop", "web", "main")));
  EXPECT_FALSE(Includes(name, kCluster, ContainerSubject("shop", "web", "side")));
  EXPECT_FALSE(Includes(name, kCluster, HostSubject()));
  const Scope repository =
      ScopeOf("containerSelector: {matchExpressions: [{key: repo, operator: NotIn, values: [repo/side]}]}");
  EXPECT_TRUE(Includes(repository, kCluster, ContainerSubject("shop", "web", "main")));
  EXPECT_FALSE(Includes(repository, kCluster, ContainerSubject("shop", "web", "side")));
  const Scope both = ScopeOf("podSelector: {matchLabels: {app: web}}, containerSelector: {matchLabels: {name: main}}");
  EXPECT_TRUE(Includes(both, kCluster, ContainerSubject("shop", "web", "main")));
  EXPECT_FALSE(Includes(both, kCluster, ContainerSubject("shop", "db", "main")));
  EXPECT_FALSE(Includes(both, kCluster, ContainerSubject("shop", "web", "side")));
}

// A pod whose containers are not known: only what is left out for certain may be left out.
TEST(TracingScope, UnknownContainers) {
  const Subject pod{.host = false, .ns = "shop", .labels = {{"app", "web"}}};
  EXPECT_FALSE(Includes(ScopeOf("containerSelector: {matchLabels: {name: main}}"), kCluster, pod));
  EXPECT_TRUE(Includes(ScopeOf("containerSelector: {matchExpressions: [{key: name, operator: NotIn, values: [side]}]}"),
                       kCluster, pod));
}

TEST(TracingScope, TheHostOnlyWhereItIsNamed) {
  const Scope host = ScopeOf("hostSelector: {}");
  EXPECT_TRUE(Includes(host, kCluster, HostSubject()));
  EXPECT_FALSE(Includes(host, kCluster, ContainerSubject("shop", "web", "c")));
  const Scope both = ScopeOf("hostSelector: {}, podSelector: {matchLabels: {app: web}}");
  EXPECT_TRUE(Includes(both, kCluster, HostSubject()));
  EXPECT_TRUE(Includes(both, kCluster, ContainerSubject("shop", "web", "c")));
  EXPECT_FALSE(Includes(both, kCluster, ContainerSubject("shop", "db", "c")));
}

}  // namespace
}  // namespace sluice::policy::tracing
