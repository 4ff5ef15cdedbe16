#include "ctrl/api/convert.h"
#include "api/grpc_status.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "policy/tracing/parser.h"
#include "tests/support/fake_hooks.h"
#include "tests/unit/api/world.h"

namespace sluice::api {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::UnorderedElementsAre;

v1::Resource Convert(policy::Kind kind, const std::string& ns, const std::string& name,
                     const policy::Quarantine& quarantine = {}) {
  static const reconcile::View view = MakeView();
  v1::GetRequest request;
  request.set_with_json(true);
  request.set_with_yaml(true);
  const auto resource = ToResource(view.resources.at({kind, {ns, name}}), {view, quarantine, {}}, request);
  EXPECT_TRUE(resource.ok()) << resource.status();
  return resource.ok() ? *resource : v1::Resource();
}

TEST(Convert, WorkloadSaysThatItIsInQuarantine) {
  const policy::Quarantine quarantine{.workloads = {{"shop", "web-0"}}, .allow = {}};
  const auto web = Convert(policy::Kind::kWorkload, "shop", "web-0", quarantine);
  EXPECT_TRUE(web.workload().quarantined());
  EXPECT_THAT(web.json(), HasSubstr(R"("quarantined":true)"));
  EXPECT_FALSE(Convert(policy::Kind::kWorkload, "shop", "db-0", quarantine).workload().quarantined());
}

TEST(Convert, WorkloadSaysWhereItIsEnforced) {
  const auto web = Convert(policy::Kind::kWorkload, "shop", "web-0");
  EXPECT_EQ(web.ref().kind(), "Workload");
  EXPECT_EQ(web.workload().ifindex(), 11U);
  EXPECT_NE(web.workload().identity(), 0U);
  EXPECT_THAT(web.workload().ips(), UnorderedElementsAre("10.1.0.2", "fd00::2"));
  EXPECT_EQ(web.labels().at("app"), "web");
  const auto json = nlohmann::json::parse(web.json());
  EXPECT_EQ(json["metadata"]["name"], "web-0");
  EXPECT_EQ(json["status"]["ifindex"], 11);
  const auto again = policy::ParseResources("yaml", web.yaml());
  ASSERT_TRUE(again.ok()) << again.status();
}

TEST(Convert, WorkloadSaysWhyItIsNot) {
  const auto db = Convert(policy::Kind::kWorkload, "shop", "db-0");
  EXPECT_THAT(db.workload().problem(), HasSubstr("no interface v-db"));
  EXPECT_EQ(db.workload().ifindex(), 0U);
}

TEST(Convert, PolicySaysWhomItSelects) {
  const auto db = Convert(policy::Kind::kNetworkPolicy, "shop", "db");
  EXPECT_EQ(db.policy().selected(), 1U);
  EXPECT_THAT(db.policy().workloads(), ElementsAre("shop/db-0"));
  EXPECT_EQ(db.policy().mode(), "Enforce");
  EXPECT_THAT(db.policy().directions(), UnorderedElementsAre("INGRESS"));
  EXPECT_EQ(Convert(policy::Kind::kSluiceNetworkPolicy, "shop", "trial").policy().mode(), "Audit");
}

TEST(Convert, WorkloadSaysWhichPoliciesSelectIt) {
  const auto db = Convert(policy::Kind::kWorkload, "shop", "db-0");
  EXPECT_THAT(db.workload().ingress_policies(), ElementsAre("NetworkPolicy shop/db"));
  EXPECT_TRUE(db.workload().egress_policies().empty());
  const auto web = Convert(policy::Kind::kWorkload, "shop", "web-0");
  EXPECT_THAT(web.workload().egress_policies(), ElementsAre("NetworkPolicy shop/trial")) << "also in audit";
}

TEST(Convert, AClusterNetworkPolicySelectsByNamespace) {
  reconcile::View view = MakeView();
  const auto parsed = policy::ParseResources("test", R"(
{apiVersion: sluice.dev/v1alpha1, kind: ClusterNetworkPolicy, metadata: {name: guard},
 spec: {namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: shop}}, defaultDeny: false}}
---
{apiVersion: sluice.dev/v1alpha1, kind: ClusterNetworkPolicy, metadata: {name: base},
 spec: {namespaceSelector: {}, defaultDeny: true, policyTypes: [Egress]}})");
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  for (const policy::Resource& resource : *parsed) view.resources[resource.id] = resource;
  const auto facts = [&](policy::Kind kind, const policy::ObjectName& name) {
    const auto resource = ToResource(view.resources.at({kind, name}), {view, {}, {}}, {});
    EXPECT_TRUE(resource.ok()) << resource.status();
    return resource.value_or(v1::Resource());
  };
  const auto guard = facts(policy::Kind::kSluiceClusterNetworkPolicy, {"", "guard"});
  EXPECT_EQ(guard.ref().kind(), "ClusterNetworkPolicy");
  EXPECT_EQ(guard.ref().namespace_(), "");
  EXPECT_THAT(guard.policy().workloads(), UnorderedElementsAre("shop/web-0", "shop/db-0"));
  EXPECT_TRUE(guard.policy().directions().empty()) << "it isolates nothing";
  const auto base = facts(policy::Kind::kSluiceClusterNetworkPolicy, {"", "base"});
  EXPECT_EQ(base.policy().selected(), 3U);
  EXPECT_THAT(base.policy().directions(), ElementsAre("EGRESS"));
  const auto db = facts(policy::Kind::kWorkload, {"shop", "db-0"});
  EXPECT_THAT(db.workload().ingress_policies(), ElementsAre("NetworkPolicy shop/db", "ClusterNetworkPolicy guard"));
  EXPECT_THAT(db.workload().egress_policies(), ElementsAre("ClusterNetworkPolicy base"));
}

TEST(Convert, ATracingPolicySaysWhatIsInForce) {
  reconcile::View view = MakeView();
  const auto parsed =
      policy::ParseResources("test", R"(
{apiVersion: cilium.io/v1alpha1, kind: TracingPolicy, metadata: {name: files}, spec: {kprobes: [{call: sys_openat}]}}
---
{apiVersion: cilium.io/v1alpha1, kind: TracingPolicyNamespaced, metadata: {namespace: shop, name: late},
 spec: {kprobes: [{call: sys_openat}]}})",
                             {.more_kinds = policy::tracing::KindParsers(policy::tracing::Reading::kParsed)});
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  test::FakeKernel kernel;
  hooks::HookController hooks(kernel.Options());
  policy::ResourceMap enforced;
  enforced[parsed->front().id] = parsed->front();
  ASSERT_TRUE(hooks.Enforce({.resources = enforced, .bindings = {}}).ok());
  v1::GetRequest request;
  request.set_with_json(true);
  const auto files = ToResource(parsed->front(), {view, {}, hooks.reports()}, request);
  ASSERT_TRUE(files.ok()) << files.status();
  const v1::TracingPolicyFacts& facts = files->tracing_policy();
  EXPECT_EQ(facts.state(), "enabled");
  EXPECT_EQ(facts.memory_bytes(), 4096U);
  ASSERT_EQ(facts.hooks_size(), 1);
  EXPECT_EQ(facts.hooks(0).attached(), "raw tracepoint sys_enter");
  EXPECT_EQ(facts.hooks(0).matches(), 3U);
  ASSERT_EQ(facts.hooks(0).counts_size(), 1);
  EXPECT_EQ(facts.hooks(0).counts(0).what(), "signalled");
  EXPECT_EQ(nlohmann::json::parse(files->json())["status"]["hooks"][0]["counts"][0]["count"], "2");
  view.holding = "nothing is saved";
  const auto late = ToResource(parsed->back(), {view, {}, hooks.reports()}, {});
  ASSERT_TRUE(late.ok()) << late.status();
  EXPECT_EQ(late->tracing_policy().state(), "error");
  EXPECT_EQ(late->tracing_policy().problem(), "holding: nothing is saved");
}

TEST(Convert, OriginIsInTheMessageAndInTheJson) {
  const auto db = Convert(policy::Kind::kNetworkPolicy, "shop", "db");
  EXPECT_EQ(db.origin(), v1::API);
  EXPECT_FALSE(db.shadows());
  EXPECT_EQ(nlohmann::json::parse(db.json())["status"]["origin"], "API");
}

TEST(Convert, PodKeepsAStatusOfItsOwn) {
  const auto json = nlohmann::json::parse(Convert(policy::Kind::kPod, "ops", "job").json());
  EXPECT_EQ(json["status"]["podIPs"][0]["ip"], "10.2.0.9");
}

TEST(Convert, StatusKeepsCodeAndText) {
  const Status status = MakeError(absl::StatusCode::kAlreadyExists, "taken");
  EXPECT_EQ(ToGrpc(status).error_code(), grpc::StatusCode::ALREADY_EXISTS);
  EXPECT_EQ(FromGrpc(ToGrpc(status)), status);
  EXPECT_TRUE(ToGrpc(OkStatus()).ok());
}

TEST(Convert, IdentitiesKnowTheirAddresses) {
  const auto identities = ToIdentities(MakeView().compiled);
  const auto web = std::find_if(identities.begin(), identities.end(), [](const v1::Identity& identity) {
    return identity.labels().contains("app") && identity.labels().at("app") == "web";
  });
  ASSERT_NE(web, identities.end());
  EXPECT_THAT(web->addresses(), UnorderedElementsAre("10.1.0.2", "fd00::2"));
}

}  // namespace
}  // namespace sluice::api
