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
            "b.yaml: Namespace shop: defined twice: a.yaml has it too. Kubernetes would keep the last: remove one");
}

TEST(ParseTargets, FindsByKindNameAndDocument) {
  const auto existing = MakeView().resources;
  auto request = Target("NetworkPolicy", "shop", "db");
  Add("world.yaml", kWorld, request.mutable_documents());
  const auto ids = ParseTargets(request, existing);
  ASSERT_TRUE(ids.ok()) << ids.status();
  EXPECT_EQ(ids->ids.size(), 5U) << "each once";
}

TEST(ParseTargets, MeansDefaultWithoutANamespace) {
  EXPECT_THAT(Message(ParseTargets(Target("workload", "", "web-0"), MakeView().resources).status()),
              HasSubstr("Workload default/web-0 does not exist"));
}

TEST(ParseTargets, FindsARefusedWorkload) {
  const policy::ObjectName name{"shop", "late"};
  const auto ids = ParseTargets(Target("workload", "shop", "late"), MakeView().resources, {{name, "no address"}});
  ASSERT_TRUE(ids.ok()) << ids.status();
  EXPECT_THAT(ids->ids, testing::ElementsAre(policy::ResourceId{policy::Kind::kWorkload, name}));
}

TEST(ParseTargets, RefusesWhatIsNoResourceOrAmbiguous) {
  auto existing = MakeView().resources;
  EXPECT_THAT(Message(ParseTargets(Target("flows", "", "x"), existing).status()),
              HasSubstr("flows: cannot be deleted"));
  EXPECT_THAT(Message(ParseTargets(Target("gadget", "", "x"), existing).status()), HasSubstr("unknown kind gadget"));
  EXPECT_FALSE(ParseTargets(v1::DeleteRequest(), existing).ok());
  policy::Resource twin = existing.at({policy::Kind::kNetworkPolicy, {"shop", "db"}});
  twin.id.kind = policy::Kind::kSluiceNetworkPolicy;
  existing[twin.id] = twin;
  EXPECT_THAT(Message(ParseTargets(Target("netpol", "shop", "db"), existing).status()), HasSubstr("is two resources"));
  const auto one = ParseTargets(Target("networkpolicies.sluice.dev", "shop", "db"), existing);
  ASSERT_TRUE(one.ok()) << one.status();
  EXPECT_EQ(one->ids.front().kind, policy::Kind::kSluiceNetworkPolicy);
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
