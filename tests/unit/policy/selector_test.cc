#include <gtest/gtest.h>

#include "policy/resource/model.h"

namespace sluice::policy {
namespace {

using Op = Selector::Operator;

bool Matches(Selector::Requirement requirement, const Labels& labels) {
  return Selector{.requirements = {std::move(requirement)}}.Matches(labels);
}

TEST(SelectorTest, EmptySelectsEverything) {
  EXPECT_TRUE(Selector{}.Matches({}));
  EXPECT_TRUE(Selector{}.Matches({{"app", "web"}}));
}

TEST(SelectorTest, In) {
  EXPECT_TRUE(Matches({"app", Op::kIn, {"db", "web"}}, {{"app", "web"}}));
  EXPECT_FALSE(Matches({"app", Op::kIn, {"db"}}, {{"app", "web"}}));
  EXPECT_FALSE(Matches({"app", Op::kIn, {""}}, {}));
  EXPECT_TRUE(Matches({"app", Op::kIn, {""}}, {{"app", ""}}));
}

TEST(SelectorTest, NotInMatchesAbsentKeys) {
  EXPECT_TRUE(Matches({"app", Op::kNotIn, {"db"}}, {}));
  EXPECT_TRUE(Matches({"app", Op::kNotIn, {"db"}}, {{"app", "web"}}));
  EXPECT_FALSE(Matches({"app", Op::kNotIn, {"web", "db"}}, {{"app", "db"}}));
}

TEST(SelectorTest, ExistsAndDoesNotExist) {
  EXPECT_TRUE(Matches({"app", Op::kExists, {}}, {{"app", ""}}));
  EXPECT_FALSE(Matches({"app", Op::kExists, {}}, {{"apps", "x"}}));
  EXPECT_FALSE(Matches({"app", Op::kDoesNotExist, {}}, {{"app", ""}}));
  EXPECT_TRUE(Matches({"app", Op::kDoesNotExist, {}}, {}));
}

TEST(SelectorTest, RequirementsAreAnded) {
  const Selector selector{.requirements = {{"app", Op::kIn, {"web"}}, {"canary", Op::kDoesNotExist, {}}}};
  EXPECT_TRUE(selector.Matches({{"app", "web"}}));
  EXPECT_FALSE(selector.Matches({{"app", "web"}, {"canary", "1"}}));
  EXPECT_FALSE(selector.Matches({{"app", "db"}}));
}

TEST(IpBlockTest, MatchesOutsideItsHoles) {
  const IpBlock block{.cidr = Prefix::Parse("10.0.0.0/8").value(), .except = {Prefix::Parse("10.1.0.0/16").value()}};
  EXPECT_TRUE(block.Matches(Address::Parse("10.2.0.1").value()));
  EXPECT_FALSE(block.Matches(Address::Parse("10.1.0.1").value()));
  EXPECT_FALSE(block.Matches(Address::Parse("11.0.0.1").value()));
}

TEST(KindTest, NamesAsPeopleWriteThem) {
  EXPECT_STREQ(KindName(Kind::kSluiceNetworkPolicy), "NetworkPolicy");
  EXPECT_STREQ(KindApiVersion(Kind::kSluiceNetworkPolicy), "sluice.dev/v1alpha1");
  EXPECT_STREQ(KindName(Kind::kSluiceClusterNetworkPolicy), "ClusterNetworkPolicy");
  EXPECT_STREQ(KindApiVersion(Kind::kSluiceClusterNetworkPolicy), "sluice.dev/v1alpha1");
  EXPECT_STREQ(KindApiVersion(Kind::kNetworkPolicy), "networking.k8s.io/v1");
  EXPECT_EQ((ResourceId{Kind::kNetworkPolicy, {"shop", "db"}}.ToString()), "NetworkPolicy shop/db");
  EXPECT_EQ((ResourceId{Kind::kNamespace, {"", "shop"}}.ToString()), "Namespace shop");
}

}  // namespace
}  // namespace sluice::policy
