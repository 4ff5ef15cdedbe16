#include "ctrl/api/resource_ids.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "api/kinds.h"
#include "tests/unit/api/world.h"

namespace sluice::api {
namespace {

using ::testing::HasSubstr;

constexpr const char* kNamespace = "{apiVersion: v1, kind: Namespace, metadata: {name: shop}}";

void Add(const std::string& origin, const std::string& yaml, Documents* documents) {
  v1::Document& document = *documents->Add();
  document.set_origin(origin);
  document.set_yaml(yaml);
}

v1::DeleteRequest Target(const std::string& kind, const std::string& ns, const std::string& name) {
  v1::DeleteRequest request;
  request.add_targets()->set_kind(kind);
  request.mutable_targets(0)->set_namespace_(ns);
  request.mutable_targets(0)->set_name(name);
  return request;
}

TEST(ParseDocuments, TakesAllOfThem) {
  Documents documents;
  Add("a.yaml", kNamespace, &documents);
  Add("b.yaml", kWorld, &documents);
  const auto resources = ParseDocuments(documents);
  ASSERT_TRUE(resources.ok()) << resources.status();
  EXPECT_EQ(resources->resources.size(), 6U);
  EXPECT_TRUE(resources->notices.empty());
}

TEST(ParseDocuments, RefusesNothingAndTwice) {
  Documents documents;
  Add("empty.yaml", "# nothing here\n", &documents);
  EXPECT_THAT(Message(ParseDocuments(documents).status()), HasSubstr("no resource"));
  Add("a.yaml", kNamespace, &documents);
  Add("b.yaml", kNamespace, &documents);
  EXPECT_EQ(Message(ParseDocuments(documents).status()),
            "b.yaml:1: Namespace shop: defined twice: a.yaml:1 has it too. Kubernetes would keep the last: remove one");
}

// What an older version has accepted can still be removed by its file.
TEST(ParseDocuments, RefusesATracingPolicyThatCannotBeEnforcedButReadsItToRemoveIt) {
  constexpr const char* kMaxData =
      "apiVersion: cilium.io/v1alpha1\nkind: TracingPolicy\nmetadata: {name: libraries}\nspec:\n"
      "  kprobes: [{call: sys_write, args: [{index: 1, type: char_buf, sizeArgIndex: 3, maxData: true}]}]\n";
  Documents documents;
  Add("p.yaml", kMaxData, &documents);
  EXPECT_EQ(Message(ParseDocuments(documents).status()),
            "p.yaml:5: TracingPolicy libraries: spec.kprobes[0].args[0].maxData: Sluice does not enforce it yet");
  reconcile::View view = MakeView();
  const auto parsed = policy::ParseResources(
      "p.yaml", kMaxData, {.more_kinds = policy::tracing::KindParsers(policy::tracing::Reading::kParsed)});
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  view.resources[parsed->front().id] = parsed->front();
  v1::DeleteRequest request;
  Add("p.yaml", kMaxData, request.mutable_documents());
  const auto targets = ParseTargets(request, view);
  ASSERT_TRUE(targets.ok()) << targets.status();
  ASSERT_EQ(targets->ids.size(), 1U);
  EXPECT_EQ(targets->ids[0].ToString(), "TracingPolicy libraries");
  for (const char* kind : {"tracingpolicies", "TracingPolicy", "tp", "tracingpolicies.cilium.io"})
    EXPECT_TRUE(ParseTargets(Target(kind, "", "libraries"), view).ok()) << kind;
  EXPECT_THAT(Message(ParseTargets(Target("tpn", "shop", "libraries"), view).status()),
              HasSubstr("TracingPolicyNamespaced shop/libraries does not exist"));
}

TEST(ParseTargets, FindsByKindNameAndDocument) {
  const auto existing = MakeView();
  auto request = Target("NetworkPolicy", "shop", "db");
  Add("world.yaml", kWorld, request.mutable_documents());
  const auto ids = ParseTargets(request, existing);
  ASSERT_TRUE(ids.ok()) << ids.status();
  EXPECT_EQ(ids->ids.size(), 5U) << "each once";
}

TEST(ParseTargets, MeansDefaultWithoutANamespace) {
  EXPECT_THAT(Message(ParseTargets(Target("workload", "", "web-0"), MakeView()).status()),
              HasSubstr("Workload default/web-0 does not exist"));
}

TEST(ParseTargets, FindsARefusedWorkload) {
  const policy::ObjectName name{"shop", "late"};
  auto view = MakeView();
  view.unbound[name] = "no address";
  const auto ids = ParseTargets(Target("workload", "shop", "late"), view);
  ASSERT_TRUE(ids.ok()) << ids.status();
  EXPECT_THAT(ids->ids, testing::ElementsAre(policy::ResourceId{policy::Kind::kWorkload, name}));
}

TEST(ParseTargets, RefusesWhatIsNoResourceOrAmbiguous) {
  auto existing = MakeView();
  EXPECT_THAT(Message(ParseTargets(Target("flows", "", "x"), existing).status()),
              HasSubstr("flows: cannot be deleted"));
  EXPECT_THAT(Message(ParseTargets(Target("gadget", "", "x"), existing).status()), HasSubstr("unknown kind gadget"));
  EXPECT_FALSE(ParseTargets(v1::DeleteRequest(), existing).ok());
  policy::Resource twin = existing.resources.at({policy::Kind::kNetworkPolicy, {"shop", "db"}});
  twin.id.kind = policy::Kind::kSluiceNetworkPolicy;
  existing.resources[twin.id] = twin;
  EXPECT_THAT(Message(ParseTargets(Target("netpol", "shop", "db"), existing).status()), HasSubstr("is two resources"));
  const auto one = ParseTargets(Target("networkpolicies.sluice.dev", "shop", "db"), existing);
  ASSERT_TRUE(one.ok()) << one.status();
  EXPECT_EQ(one->ids.front().kind, policy::Kind::kSluiceNetworkPolicy);
}

TEST(ParseTargets, AClusterNetworkPolicyHasNoNamespace) {
  auto view = MakeView();
  const policy::ResourceId id{policy::Kind::kSluiceClusterNetworkPolicy, {"", "guard"}};
  view.resources[id].id = id;
  policy::ResourceMap of_api;
  of_api[id].id = id;
  view.desired = reconcile::Desired(of_api);
  for (const char* kind : {"clusternetworkpolicy", "scnp", "clusternetworkpolicies.sluice.dev"}) {
    const auto one = ParseTargets(Target(kind, "shop", "guard"), view);  // the namespace of a configuration file
    ASSERT_TRUE(one.ok()) << one.status();
    EXPECT_THAT(one->ids, testing::ElementsAre(id));
  }
  auto all = Target("scnp", "default", "");
  all.mutable_targets(0)->set_all(true);
  EXPECT_THAT(ParseTargets(all, view)->ids, testing::ElementsAre(id));
  EXPECT_THAT(Message(ParseTargets(Target("scnp", "shop", "x"), view).status()),
              HasSubstr("ClusterNetworkPolicy x does not exist"));
  EXPECT_EQ(KindArgument(id.kind), "clusternetworkpolicy");
}

TEST(ParseTargets, MayBeToldToIgnoreWhatIsNotThere) {
  auto request = Target("workload", "shop", "nobody");
  EXPECT_TRUE(absl::IsNotFound(ParseTargets(request, MakeView()).status()));
  request.set_ignore_not_found(true);
  Add("x.yaml", kNamespace, request.mutable_documents());
  const auto targets = ParseTargets(request, MakeView());
  ASSERT_TRUE(targets.ok()) << targets.status();
  EXPECT_THAT(targets->notices,
              testing::ElementsAre("Namespace shop does not exist", "Workload shop/nobody does not exist"));
  EXPECT_EQ(targets->ids.size(), 1U) << "the controller knows more of documents";
}

TEST(ParseTargets, AllAreThoseThatTheApiWasGiven) {
  auto view = MakeView();
  view.desired.Set(reconcile::Source::kDirectory, view.resources);
  view.desired.Remove({policy::Kind::kWorkload, {"shop", "db-0"}});
  view.unbound[{"shop", "late"}] = "refused";
  const auto all = [&](const std::string& kind, const std::string& ns) {
    auto request = Target(kind, ns, "");
    request.mutable_targets(0)->set_all(true);
    return ParseTargets(request, view);
  };
  EXPECT_THAT(all("workloads", "shop")->ids,
              testing::ElementsAre(policy::ResourceId{policy::Kind::kWorkload, {"shop", "late"}},
                                   policy::ResourceId{policy::Kind::kWorkload, {"shop", "web-0"}}));
  EXPECT_EQ(all("networkpolicies", "")->ids.size(), 2U);
  const auto none = all("pods", "shop");
  ASSERT_TRUE(none.ok()) << none.status();
  EXPECT_TRUE(none->ids.empty());
  EXPECT_THAT(none->notices, testing::ElementsAre("no pods were applied in namespace shop"));
}

TEST(ParseKind, KnowsSingularPluralAndShortNamesInAnyCase) {
  for (const char* name : {"networkpolicies", "NetworkPolicy", "netpol"}) {
    EXPECT_EQ(ParseKind(name)->kinds.size(), 2U) << name;
  }
  EXPECT_EQ(ParseKind("Identities")->listing, Listing::kIdentities);
  EXPECT_THAT(Message(ParseKind("x").status()), HasSubstr("workloads"));
}

}  // namespace
}  // namespace sluice::api
