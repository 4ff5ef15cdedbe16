#include "policy/resource/gather.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace sluice::policy {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

constexpr char kShop[] = "{apiVersion: v1, kind: Namespace, metadata: {name: shop}}";
const std::string kShopBelow = std::string("\n") + kShop;
constexpr char kPod[] = "{apiVersion: v1, kind: Pod, metadata: {name: p}}";

TEST(Gather, ResourcesInTheOrderOfTheTextsWithTheirOrigins) {
  const GatheredTexts gathered = Gather({{"b.yaml", kShop}, {"a.yaml", kPod}}, {.default_namespace = "ops"});
  ASSERT_TRUE(gathered.FirstError().ok());
  ASSERT_EQ(gathered.resources.size(), 2U);
  EXPECT_EQ(gathered.resources[0].id.ToString(), "Namespace shop");
  EXPECT_EQ(gathered.resources[1].id.ToString(), "Pod ops/p");
  EXPECT_THAT(gathered.origins, ElementsAre("b.yaml", "a.yaml"));
  EXPECT_TRUE(gathered.notices.empty());
}

TEST(Gather, OneIdInTwoTextsIsAProblemOfTheLater) {
  const GatheredTexts gathered = Gather({{"a.yaml", kShop}, {"b.yaml", kShopBelow}}, {});
  EXPECT_EQ(gathered.resources.size(), 1U);
  EXPECT_EQ(Message(gathered.FirstError()),
            "b.yaml:2: Namespace shop: defined twice: a.yaml:1 has it too. Kubernetes would keep the last: remove one");
}

TEST(Gather, TheFirstErrorIsAllOfTheFirstWrongTextAndTheRestIsThere) {
  const GatheredTexts gathered =
      Gather({{"a.yaml", "kind: [\n"}, {"b.yaml", "{kind: Nothing}\n"}, {"c.yaml", kPod}}, {});
  EXPECT_EQ(gathered.resources.size(), 1U);
  EXPECT_GE(gathered.problems.size(), 2U);
  const std::string error = Message(gathered.FirstError());
  EXPECT_THAT(error, HasSubstr("a.yaml:"));
  EXPECT_EQ(error.find("b.yaml"), std::string::npos);
}

TEST(Gather, NoticesSayWhatWasLeftOutAndWhereDefaultWasTaken) {
  const std::string text = std::string("{apiVersion: v1, kind: Service, metadata: {name: s}}\n---\n") + kPod;
  const GatheredTexts gathered = Gather({{"a.yaml", text}}, {.default_namespace = "", .skip_unknown = true});
  EXPECT_THAT(gathered.notices,
              ElementsAre("a.yaml:1: Service/s: left out: neither policy nor workload",
                          "a.yaml: 1 object has no namespace: using \"default\", choose another with -n NAMESPACE"));
  EXPECT_EQ(gathered.resources.at(0).id.name.ns, "default");
}

}  // namespace
}  // namespace sluice::policy
