#include "ctrl/detect/container_facts.h"

#include <gtest/gtest.h>

namespace sluice::detect {
namespace {

policy::rules::Container Called(const std::string& id) {
  policy::rules::Container container;
  container.full_id = id;
  return container;
}

TEST(ContainerFacts, TheHostIsKnown) {
  const auto found = ContainerFacts().Find("");
  EXPECT_EQ(found.container.get(), &policy::rules::HostContainer());
  EXPECT_TRUE(found.final);
}

TEST(ContainerFacts, AnIdAloneIsNotAll) {
  ContainerFacts facts;
  const std::string id = "0123456789abcdef0123";
  EXPECT_FALSE(facts.Find(id).final);
  EXPECT_EQ(facts.Find(id).container->id, "0123456789ab");
  policy::rules::Container web = Called(id);
  web.name = "web";
  web.image_repository = "nginx";
  web.pod_namespace = "shop";
  facts.Set({web});
  EXPECT_EQ(facts.version(), 1U);
  const auto found = facts.Find(id);
  EXPECT_TRUE(found.final);
  EXPECT_EQ(found.container->image_repository, "nginx");
  EXPECT_EQ(found.container->id, "0123456789ab");
  EXPECT_EQ(found.container->pod_namespace, "shop");
  EXPECT_EQ(found.container->full_id, id);
  facts.Set({web});
  EXPECT_EQ(facts.version(), 1U) << "nothing has changed";
  web.privileged = true;
  facts.Set({web});
  EXPECT_EQ(facts.version(), 2U);
  EXPECT_EQ(facts.Find(id).container->privileged, true);
}

TEST(ContainerFacts, ContainersThatAreGoneAreRememberedForAWhile) {
  ContainerFacts facts;
  facts.Set({Called("first")});
  facts.Set({});
  EXPECT_TRUE(facts.Find("first").final);
  std::vector<policy::rules::Container> many;
  for (std::size_t i = 0; i < ContainerFacts::kMaxGone; ++i) many.push_back(Called(std::to_string(i)));
  facts.Set(many);
  EXPECT_TRUE(facts.Find("first").final);
  facts.Set({});
  EXPECT_FALSE(facts.Find("first").final);
  EXPECT_TRUE(facts.Find("0").final);
}

}  // namespace
}  // namespace sluice::detect
