#include "ctrl/detect/container_facts.h"

#include <gtest/gtest.h>

namespace sluice::detect {
namespace {

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
  facts.Set({{.id = id, .name = "web", .pod = {"shop", "web-0"}, .pod_uid = "u", .repository = "nginx"}});
  EXPECT_EQ(facts.version(), 1U);
  const auto found = facts.Find(id);
  EXPECT_TRUE(found.final);
  EXPECT_EQ(found.container->image_repository, "nginx");
  EXPECT_EQ(found.container->pod_namespace, "shop");
  EXPECT_EQ(found.container->full_id, id);
  facts.Set({{.id = id, .name = "web", .pod = {"shop", "web-0"}, .pod_uid = "u", .repository = "nginx"}});
  EXPECT_EQ(facts.version(), 1U) << "nothing has changed";
}

TEST(ContainerFacts, ContainersThatAreGoneAreRememberedForAWhile) {
  ContainerFacts facts;
  facts.Set({{.id = "first", .name = "f"}});
  facts.Set({});
  EXPECT_TRUE(facts.Find("first").final);
  std::vector<ContainerFacts::Listed> many;
  for (std::size_t i = 0; i < ContainerFacts::kMaxGone; ++i) many.push_back({.id = std::to_string(i)});
  facts.Set(many);
  EXPECT_TRUE(facts.Find("first").final);
  facts.Set({});
  EXPECT_FALSE(facts.Find("first").final);
  EXPECT_TRUE(facts.Find("0").final);
}

}  // namespace
}  // namespace sluice::detect
