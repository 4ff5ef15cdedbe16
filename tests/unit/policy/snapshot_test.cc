#include "policy/network/snapshot.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "policy/resource/parser.h"

namespace sluice::policy {
namespace {

using testing::HasSubstr;

ResourceMap ParseMap(const std::string& yaml) {
  ResourceMap resources;
  std::vector<Resource> parsed = ParseResources("test", yaml).value();
  for (Resource& resource : parsed) {
    resources.insert_or_assign(resource.id, std::move(resource));
  }
  return resources;
}

Address Ip(const std::string& text) { return Address::Parse(text).value(); }

std::string WorkloadYaml(const std::string& name, const std::string& ips) {
  return fmt::format(
      "{{apiVersion: sluice.dev/v1alpha1, kind: Workload, metadata: {{name: {}, namespace: shop}}, spec: "
      "{{netns: /run/netns/{}, ips: [{}]}}}}\n---\n",
      name, name, ips);
}

std::string PodYaml(const std::string& name, const std::string& ip, const std::string& more = "") {
  return fmt::format(
      "{{apiVersion: v1, kind: Pod, metadata: {{name: {}, namespace: shop{}}}, status: {{podIPs: [{{ip: "
      "{}}}]}}}}\n---\n",
      name, more, ip);
}

TEST(Snapshot, IndexesEndpointsByAddressAndName) {
  const auto snapshot =
      Snapshot::Build(ParseMap(WorkloadYaml("web", "10.0.0.1, 'fd00::1'") + PodYaml("far", "10.0.0.2")), {}, {})
          .value();
  ASSERT_EQ(snapshot->endpoints.size(), 2U);
  EXPECT_EQ(snapshot->Find(Ip("fd00::1")), snapshot->FindByName({"shop", "web"}));
  EXPECT_EQ(snapshot->Find(Ip("10.0.0.2"))->name.name, "far");
  EXPECT_EQ(snapshot->Find(Ip("10.0.0.3")), nullptr);
  EXPECT_EQ(snapshot->FindByName({"shop", "zz"}), nullptr);
  EXPECT_EQ(snapshot->FindByName({"", "far"}), nullptr);
}

TEST(Snapshot, BindingsMakeWorkloadsLocal) {
  const ResourceMap resources = ParseMap(WorkloadYaml("a", "10.0.0.1") + WorkloadYaml("b", "10.0.0.2"));
  const std::map<ObjectName, Binding> bindings = {{{"shop", "a"}, {7, 3, {Ip("10.9.9.9")}}}};
  const auto snapshot = Snapshot::Build(resources, bindings, {}).value();
  const Endpoint* bound = snapshot->FindByName({"shop", "a"});
  EXPECT_EQ(bound->ifindex, 7U);
  EXPECT_EQ(bound->endpoint, 3U);
  EXPECT_EQ(bound->ips, std::vector{Ip("10.9.9.9")}) << "the addresses in force, not those of the file";
  EXPECT_EQ(snapshot->Find(Ip("10.0.0.1")), nullptr);
  const Endpoint* unbound = snapshot->Find(Ip("10.0.0.2"));
  ASSERT_NE(unbound, nullptr) << "a known peer all the same";
  EXPECT_EQ(unbound->ifindex, 0U);
}

TEST(Snapshot, TwoWorkloadsOfOneAddressAreAnError) {
  const auto snapshot =
      Snapshot::Build(ParseMap(WorkloadYaml("a", "10.0.0.1") + WorkloadYaml("b", "10.0.0.9, 10.0.0.1")), {}, {});
  ASSERT_EQ(snapshot.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(Message(snapshot.status()),
              testing::AllOf(HasSubstr("shop/a"), HasSubstr("shop/b"), HasSubstr("10.0.0.1")));
}

TEST(Snapshot, AWorkloadHasItsAddressBeforeAnyPod) {
  const auto snapshot =
      Snapshot::Build(ParseMap(PodYaml("a-stale", "10.0.0.1") + WorkloadYaml("web", "10.0.0.1")), {}, {}).value();
  EXPECT_EQ(snapshot->Find(Ip("10.0.0.1"))->name.name, "web");
  EXPECT_TRUE(snapshot->FindByName({"shop", "a-stale"})->ips.empty());
}

TEST(Snapshot, OfTwoPodsTheFirstByNameHasTheAddress) {
  const auto snapshot = Snapshot::Build(ParseMap(PodYaml("b", "10.0.0.1") + PodYaml("a", "10.0.0.1")), {}, {}).value();
  EXPECT_EQ(snapshot->Find(Ip("10.0.0.1"))->name.name, "a");
  EXPECT_TRUE(snapshot->FindByName({"shop", "b"})->ips.empty());
}

TEST(Snapshot, AWorkloadWinsOverThePodOfItsName) {
  const auto snapshot =
      Snapshot::Build(ParseMap(PodYaml("web", "10.0.0.8") + WorkloadYaml("web", "10.0.0.1")), {}, {}).value();
  ASSERT_EQ(snapshot->endpoints.size(), 1U);
  EXPECT_EQ(snapshot->Find(Ip("10.0.0.8")), nullptr);
}

TEST(Snapshot, NamespacesAreImpliedAndKnowTheirName) {
  const auto snapshot = Snapshot::Build(ParseMap(PodYaml("a", "10.0.0.1") + R"(
{apiVersion: v1, kind: Namespace, metadata: {name: empty, labels: {x: v}}}
---
{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {name: p, namespace: policed}, spec: {podSelector: {}}}
)"),
                                        {}, {})
                            .value();
  const Labels named = {{"kubernetes.io/metadata.name", "shop"}};
  EXPECT_EQ(*snapshot->namespaces.at("shop"), named);
  EXPECT_EQ(snapshot->namespaces.at("empty")->at("x"), "v");
  EXPECT_EQ(snapshot->namespaces.at("empty")->at("kubernetes.io/metadata.name"), "empty");
  EXPECT_EQ(snapshot->namespaces.size(), 2U) << "nobody is in policed";
  EXPECT_EQ(snapshot->endpoints[0].namespace_labels, snapshot->namespaces.at("shop"));
}

TEST(Snapshot, PoliciesAreSortedByNamespaceNameAndKind) {
  const auto policy = [](const std::string& api, const std::string& ns, const std::string& name) {
    return fmt::format(
        "{{apiVersion: {}, kind: NetworkPolicy, metadata: {{name: {}, namespace: {}}}, spec: "
        "{{podSelector: {{}}}}}}\n---\n",
        api, name, ns);
  };
  const char* const k8s = "networking.k8s.io/v1";
  const char* const own = "sluice.dev/v1alpha1";
  const auto snapshot = Snapshot::Build(
      ParseMap(policy(own, "b", "a") + policy(k8s, "b", "a") + policy(k8s, "a", "z") + policy(own, "a", "c")), {}, {});
  std::string order;
  for (const auto& p : (*snapshot)->policies) {
    order += p->name.ToString() + (p->api == NetworkPolicy::Api::kSluice ? "+ " : " ");
  }
  EXPECT_EQ(order, "a/c+ a/z b/a b/a+ ");
}

TEST(Snapshot, NodeAddressesAreSortedAndNoPodHasThem) {
  const auto snapshot =
      Snapshot::Build(ParseMap(PodYaml("a", "10.0.0.1")), {}, {Ip("192.0.2.1"), Ip("10.0.0.1"), Ip("192.0.2.1")})
          .value();
  EXPECT_EQ(snapshot->node_addresses, (std::vector{Ip("10.0.0.1"), Ip("192.0.2.1")}));
  EXPECT_TRUE(snapshot->IsNode(Ip("192.0.2.1")));
  EXPECT_FALSE(snapshot->IsNode(Ip("192.0.2.2")));
  EXPECT_EQ(snapshot->Find(Ip("10.0.0.1")), nullptr);
}

TEST(Snapshot, WorkloadIdsAreStableAndTellLivesApart) {
  const auto id = [](const std::string& yaml) {
    return Snapshot::Build(ParseMap(yaml), {}, {}).value()->endpoints[0].workload_id;
  };
  const std::uint32_t one = id(PodYaml("a", "10.0.0.1", ", uid: u1"));
  EXPECT_NE(one, 0U);
  EXPECT_EQ(one, id(PodYaml("a", "10.0.0.2", ", uid: u1, labels: {x: v}") + PodYaml("b", "10.0.0.3")));
  EXPECT_NE(one, id(PodYaml("a", "10.0.0.1", ", uid: u2")));
}

TEST(Snapshot, TheNextOneHasTheSamePopulationWhileOnlyPoliciesChange) {
  ResourceMap resources = ParseMap(WorkloadYaml("a", "10.0.0.1"));
  std::map<ObjectName, Binding> bindings = {{{"shop", "a"}, {7, 1, {Ip("10.0.0.1")}}}};
  const auto first = Snapshot::Build(resources, bindings, {}).value();
  const auto next = [&](const std::vector<Address>& node_addresses) {
    return Snapshot::Build(resources, bindings, node_addresses, first.get()).value();
  };
  EXPECT_EQ(next({})->population, first->population);
  EXPECT_NE(next({Ip("10.0.0.254")})->population, first->population);
  const ResourceMap policy = ParseMap(
      "{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {name: p, namespace: shop}, spec: "
      "{podSelector: {}}}");
  resources.Merge(policy);
  EXPECT_EQ(next({})->population, first->population);
  EXPECT_EQ(next({})->policies.size(), 1U);
  bindings.begin()->second.endpoint = 2;
  EXPECT_EQ(next({})->Find(Ip("10.0.0.1"))->endpoint, 2U);
  resources.Merge(ParseMap(PodYaml("b", "10.0.0.2")));
  EXPECT_NE(next({})->Find(Ip("10.0.0.2")), nullptr);
  EXPECT_EQ(first->Find(Ip("10.0.0.2")), nullptr);
}

TEST(Snapshot, TheNextOneSharesTheEndpointsThatAreTheSame) {
  ResourceMap resources = ParseMap(PodYaml("a", "10.0.0.1") + PodYaml("b", "10.0.0.2") + PodYaml("c", "10.0.0.2"));
  const auto shared = [](const Snapshot& one, const Snapshot& two) {
    std::string names;
    for (const auto& endpoint : two.endpoints.pointers()) {
      if (one.FindByName(endpoint->name) == endpoint.get()) names += endpoint->name.name;
    }
    return names;
  };
  const auto first = Snapshot::Build(resources, {}, {}).value();
  resources.Merge(ParseMap(PodYaml("d", "10.0.0.4")));
  const auto second = Snapshot::Build(resources, {}, {}, first.get()).value();
  EXPECT_EQ(shared(*first, *second), "abc");
  resources.insert_or_assign({Kind::kPod, {"shop", "a"}},
                             ParseMap(PodYaml("a", "10.0.0.9")).at({Kind::kPod, {"shop", "a"}}));
  const auto third = Snapshot::Build(resources, {}, {}, second.get()).value();
  EXPECT_EQ(shared(*second, *third), "bcd");
  resources.erase({Kind::kPod, {"shop", "b"}});
  const auto fourth = Snapshot::Build(resources, {}, {}, third.get()).value();
  EXPECT_EQ(shared(*third, *fourth), "ad") << "c has the address now";
  EXPECT_EQ(fourth->Find(Ip("10.0.0.2"))->name.name, "c");
  resources.Merge(ParseMap("{apiVersion: v1, kind: Namespace, metadata: {name: shop, labels: {x: v}}}"));
  EXPECT_EQ(shared(*fourth, *Snapshot::Build(resources, {}, {}, fourth.get()).value()), "");
}

TEST(Snapshot, OwnsWhatItPointsTo) {
  std::shared_ptr<const Snapshot> snapshot;
  {
    const ResourceMap resources = ParseMap(PodYaml("a", "10.0.0.1", ", labels: {x: v}"));
    snapshot = Snapshot::Build(resources, {}, {}).value();
  }
  EXPECT_EQ(snapshot->Find(Ip("10.0.0.1"))->labels.at("x"), "v");
  EXPECT_EQ(snapshot->Find(Ip("10.0.0.1"))->namespace_labels->at("kubernetes.io/metadata.name"), "shop");
}

}  // namespace
}  // namespace sluice::policy
