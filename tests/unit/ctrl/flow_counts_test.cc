// Wrong counts of the flow table are corrected; counts of flows that change meanwhile are left alone.
#include "kernel/datapath/flow_counts.h"

#include <gtest/gtest.h>

#include <vector>

#include "bpf/abi/policy.h"

namespace sluice::datapath {
namespace {

constexpr std::uint32_t kOwner = 3;

class FlowCountsTest : public ::testing::Test {
 protected:
  static FlowRecord Flow(std::uint32_t slot, std::uint32_t incarnation) {
    FlowRecord flow{};
    flow.slot = slot;
    flow.state = FlowState::kPending;
    flow.entry.owner = kOwner;
    flow.entry.incarnation = incarnation;
    return flow;
  }
  // A pass that finds these flows, all in the overflow of bucket 1; at its end the counts are `said`.
  void Pass(const std::vector<FlowRecord>& flows, std::uint64_t said) {
    counts_.Begin(2);
    for (const FlowRecord& flow : flows) counts_.Add(flow, 1);
    shares_[0] = shares_[kOwner] = said;
    buckets_[1].overflow = static_cast<std::uint32_t>(said);
    counts_.End(buckets_, shares_.data());
  }
  void ExpectCounts(std::uint64_t count) {
    EXPECT_EQ(shares_[0], count);
    EXPECT_EQ(shares_[kOwner], count);
    EXPECT_EQ(buckets_[1].overflow, count);
  }

  FlowCounts counts_;
  sl_flow_bucket buckets_[2] = {};
  std::vector<std::uint64_t> shares_ = std::vector<std::uint64_t>(SL_MAX_ENDPOINTS);
};

TEST_F(FlowCountsTest, WhatIsWrongIsPutRight) {
  for (const std::uint64_t wrong : {5, 1}) {
    for (int pass = 0; pass < 2; ++pass) Pass({Flow(0, 1), Flow(4, 7)}, wrong);
    ExpectCounts(2);
    Pass({Flow(0, 1), Flow(4, 7)}, 2);
    ExpectCounts(2);
  }
}

// Connections end and new ones take their slots all the time; each pass misses one that began behind it.
TEST_F(FlowCountsTest, WhatMovesMeanwhileIsNotWrong) {
  for (std::uint32_t pass = 0; pass < 10; ++pass) {
    Pass({Flow(0, 1), Flow(4, pass)}, 3);
    ExpectCounts(3);
  }
  for (std::uint32_t pass = 0; pass < 10; ++pass) {
    Pass({Flow(0, 1), Flow(pass, 1)}, 1);
    ExpectCounts(1);
  }
}

}  // namespace
}  // namespace sluice::datapath
