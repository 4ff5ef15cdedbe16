#include "policy/resource/resource_map.h"

#include <gtest/gtest.h>

namespace sluice::policy {
namespace {

ResourceId Id(Kind kind, const std::string& name) { return {kind, {"shop", name}}; }
Resource Make(const ResourceId& id) { return {.id = id, .yaml = id.ToString()}; }

const ResourceId kPod = Id(Kind::kPod, "a"), kOtherPod = Id(Kind::kPod, "b"), kPolicyId = Id(Kind::kNetworkPolicy, "p");

TEST(ResourceMap, IsReadInTheOrderOfKindsAndNames) {
  ResourceMap map;
  EXPECT_TRUE(map.empty());
  EXPECT_EQ(map.begin(), map.end());
  for (const ResourceId& id : {kPolicyId, kOtherPod, kPod}) map.insert_or_assign(id, Make(id));
  std::vector<ResourceId> ids;
  for (const auto& [id, resource] : map) ids.push_back(id);
  EXPECT_EQ(ids, (std::vector{kPod, kOtherPod, kPolicyId}));
  EXPECT_EQ(map.size(), 3U);
  EXPECT_EQ(map.find(kPolicyId)->second.yaml, kPolicyId.ToString());
  EXPECT_EQ(map.find(Id(Kind::kWorkload, "a")), map.end());
  EXPECT_EQ(map.erase(kPod), 1U);
  EXPECT_EQ(map.erase(kPod), 0U);
  EXPECT_FALSE(map.contains(kPod));
}

TEST(ResourceMap, WhatIsWrittenToACopyIsNotWrittenToTheOriginal) {
  ResourceMap map;
  for (const ResourceId& id : {kPod, kPolicyId}) map[id] = Make(id);
  ResourceMap copy = map;
  EXPECT_TRUE(copy.Shares(Kind::kPod, map));
  copy[kOtherPod] = Make(kOtherPod);
  EXPECT_FALSE(copy.Shares(Kind::kPod, map));
  EXPECT_TRUE(copy.Shares(Kind::kNetworkPolicy, map));
  EXPECT_EQ(map.size(), 2U);
  map.erase(kPolicyId);
  EXPECT_TRUE(copy.contains(kPolicyId));
  copy.erase(Id(Kind::kWorkload, "none"));
  EXPECT_TRUE(copy.Shares(Kind::kWorkload, map)) << "nothing was written";
}

TEST(ResourceMap, MergeAddsWhatIsNotThere) {
  ResourceMap map, other;
  map[kPod] = {.id = kPod, .yaml = "mine"};
  for (const ResourceId& id : {kPod, kOtherPod, kPolicyId}) other[id] = Make(id);
  map.Merge(other);
  EXPECT_EQ(map.size(), 3U);
  EXPECT_EQ(map.at(kPod).yaml, "mine");
  EXPECT_EQ(other.at(kPod).yaml, kPod.ToString());
  EXPECT_TRUE(map.Shares(Kind::kNetworkPolicy, other)) << "there was none before";
}

}  // namespace
}  // namespace sluice::policy
