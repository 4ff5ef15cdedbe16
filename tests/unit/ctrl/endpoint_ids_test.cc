#include "ctrl/node/endpoint_ids.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "bpf/abi/policy.h"

namespace sluice::node {
namespace {

using policy::ObjectName;
using ::testing::HasSubstr;

ObjectName Pod(int number) { return {"shop", fmt::format("pod-{}", number)}; }

TEST(EndpointIds, GivesTheLowestFreeNumberAndKeepsIt) {
  EndpointIds ids;
  EXPECT_EQ(*ids.Assign(Pod(1)), 1U);
  EXPECT_EQ(*ids.Assign(Pod(2)), 2U);
  EXPECT_EQ(*ids.Assign(Pod(3)), 3U);
  EXPECT_EQ(*ids.Assign(Pod(2)), 2U);
  ids.Release(Pod(1));
  EXPECT_EQ(ids.Find(Pod(1)), 0U);
  EXPECT_EQ(*ids.Assign(Pod(4)), 1U);
  EXPECT_EQ(*ids.Assign(Pod(5)), 4U);
}

TEST(EndpointIds, TellsWorkloadsOfTwoNamespacesApart) {
  EndpointIds ids;
  EXPECT_NE(*ids.Assign({"a", "web"}), *ids.Assign({"b", "web"}));
}

TEST(EndpointIds, ReleasingAnUnknownWorkloadChangesNothing) {
  EndpointIds ids;
  EXPECT_EQ(*ids.Assign(Pod(1)), 1U);
  ids.Release(Pod(2));
  EXPECT_EQ(*ids.Assign(Pod(3)), 2U);
}

TEST(EndpointIds, SaysWhenAllAreTaken) {
  EndpointIds ids;
  for (int i = 1; i < SL_MAX_ENDPOINTS; i++) ASSERT_EQ(*ids.Assign(Pod(i)), static_cast<std::uint32_t>(i));
  const auto refused = ids.Assign({"shop", "last"});
  EXPECT_TRUE(absl::IsResourceExhausted(refused.status()));
  EXPECT_THAT(Message(refused.status()), HasSubstr("shop/last"));
  EXPECT_THAT(Message(refused.status()), HasSubstr("4095"));
  ids.Release(Pod(77));
  EXPECT_EQ(*ids.Assign({"shop", "last"}), 77U);
}

TEST(EndpointIds, RestoreTakesOnlyFreeNumbersInRange) {
  EndpointIds ids;
  EXPECT_TRUE(ids.Restore(Pod(1), 7).ok());
  EXPECT_TRUE(ids.Restore(Pod(1), 7).ok());
  EXPECT_THAT(Message(ids.Restore(Pod(2), 7)), HasSubstr("number 7 is taken"));
  EXPECT_THAT(Message(ids.Restore(Pod(2), 0)), HasSubstr("number 0 is not in 1..4095"));
  EXPECT_FALSE(ids.Restore(Pod(2), SL_MAX_ENDPOINTS).ok());
  EXPECT_TRUE(ids.Restore(Pod(1), 9).ok());  // moves; 7 is free again
  EXPECT_TRUE(ids.Restore(Pod(2), 7).ok());
  EXPECT_EQ(*ids.Assign(Pod(3)), 1U);
}

}  // namespace
}  // namespace sluice::node
