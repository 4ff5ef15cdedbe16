// Denied-flow entries share a table with flows, and must never block an allowed flow.
#include <gtest/gtest.h>

#include "kernel/bpf/map.h"
#include "tests/support/sample_cluster.h"

namespace sluice::test {
namespace {

class DeniedRecords : public SampleCluster {
 protected:
  void SetUp() override {
    SampleCluster::SetUp();
    Enforce(DbPolicy());
    fixture_->SetClock(1000);
  }

  // A flow that db may open, and web may not.
  static Packet FromWeb() { return Eth{} / Ipv4{.src = kWebIp, .dst = kDbIp} / Udp{.sport = 40000, .dport = 53}; }
  static Packet FromDb() { return Eth{} / Ipv4{.src = kDbIp, .dst = kWebIp} / Udp{.sport = 53, .dport = 40000}; }
  static Packet Flood() { return Eth{} / Ipv4{.src = kOtherIp, .dst = kDbIp} / Udp{.dport = 7}; }

  std::vector<datapath::FlowRecord> Denied() {
    std::vector<datapath::FlowRecord> denied;
    for (const datapath::FlowRecord& flow : Flows())
      if (flow.state == datapath::FlowState::kDenied) denied.push_back(flow);
    return denied;
  }

  // Puts the flow into another way of `slot`'s bucket, with the same tag but `state`.
  static void PutBeside(std::uint32_t slot, int way, const sl_flow& flow, sl_flow_state state) {
    using Buckets = bpf::Map<std::uint32_t, sl_flow_bucket>;
    using Places = bpf::Map<std::uint32_t, sl_flow>;
    auto& object = fixture_->datapath().object();
    const auto buckets = Buckets::Bind(object.map_fd("flow_buckets"), "flow_buckets");
    const auto slots = Places::Bind(object.map_fd("flows"), "flows");
    ASSERT_TRUE(buckets.ok()) << buckets.status();
    ASSERT_TRUE(slots.ok()) << slots.status();
    const std::uint32_t index = slot / SL_FLOW_WAYS;
    sl_flow_bucket bucket = **buckets->Get(index);
    const std::uint32_t tag = bucket.tags[slot % SL_FLOW_WAYS];
    bucket.tags[way] = (tag & ~static_cast<std::uint32_t>(SL_FLOW_STATE_MASK)) | state;
    ASSERT_TRUE(slots->Put(index * SL_FLOW_WAYS + way, flow).ok());
    ASSERT_TRUE(buckets->Put(index, bucket).ok());
  }
};

TEST_F(DeniedRecords, ADeniedFlowCountsItsPackets) {
  for (int i = 0; i < 3; ++i) EXPECT_FALSE(FromPod(kWeb, FromWeb()).forwarded);
  ASSERT_EQ(Denied().size(), 1u);
  EXPECT_EQ(Denied()[0].entry.forward_packets, 3u);
}

TEST_F(DeniedRecords, OthersFlowsPassInTheMiddleOfAFlood) {
  ASSERT_TRUE(FromPod(kWeb, ToDb(kSyn)).forwarded);
  ASSERT_TRUE(FromPod(kDb, ToWeb(kSyn | kAck)).forwarded);
  for (int i = 0; i < 3; ++i) {
    EXPECT_FALSE(FromPod(kOther, Flood()).forwarded);
    EXPECT_TRUE(FromPod(kWeb, ToDb(kAck)).forwarded);
    EXPECT_FALSE(FromPod(kOther, Flood()).forwarded);
    EXPECT_TRUE(FromPod(kDb, ToWeb(kAck)).forwarded);
    EXPECT_TRUE(FromPod(kDb, ToWeb(kAck)).forwarded);
  }
}

TEST_F(DeniedRecords, WhoMayOpensTheFlowFromTheOtherEnd) {
  for (int i = 0; i < 3; ++i) EXPECT_FALSE(FromPod(kWeb, FromWeb()).forwarded);
  ASSERT_TRUE(FromPod(kDb, FromDb()).forwarded);
  EXPECT_TRUE(Denied().empty()) << "the flow is another now";
  for (int i = 0; i < 3; ++i) {
    EXPECT_FALSE(FromPod(kOther, Flood()).forwarded);
    EXPECT_TRUE(FromPod(kWeb, FromWeb()).forwarded) << "an answer";
    EXPECT_TRUE(FromPod(kDb, FromDb()).forwarded);
  }
}

// As if another CPU stored its denial just after the other end opened the flow.
TEST_F(DeniedRecords, ARecordThatComesTooLateIsNotBelieved) {
  ASSERT_FALSE(FromPod(kWeb, FromWeb()).forwarded);
  const auto denied = Denied();
  ASSERT_EQ(denied.size(), 1u);
  ASSERT_TRUE(FromPod(kDb, FromDb()).forwarded);
  ASSERT_TRUE(FromPod(kWeb, FromWeb()).forwarded);
  ASSERT_TRUE(Denied().empty());
  ASSERT_EQ(Flows().size(), 1u);
  const std::uint32_t slot = Flows()[0].slot;
  for (int way = 0; way < SL_FLOW_WAYS; ++way) {
    if (static_cast<std::uint32_t>(way) == slot % SL_FLOW_WAYS) continue;
    PutBeside(slot, way, {denied[0].key, denied[0].entry}, SL_FLOW_DENIED);
    ASSERT_EQ(Denied().size(), 1u);
    EXPECT_TRUE(FromPod(kWeb, FromWeb()).forwarded);
    EXPECT_TRUE(FromPod(kDb, FromDb()).forwarded);
    EXPECT_EQ(Denied()[0].entry.forward_packets, 1u) << "nothing was counted there, way " << way;
    ASSERT_TRUE(fixture_->datapath().ForgetFlows(Denied()).ok());
  }
}

// The tags are equal, so the keys must distinguish the flows.
TEST_F(DeniedRecords, AFlowWithTheSameTagIsNotTakenForThisOne) {
  ASSERT_FALSE(FromPod(kWeb, FromWeb()).forwarded);
  ASSERT_TRUE(FromPod(kWeb, ToDb(kSyn)).forwarded);
  const auto denied = Denied();
  ASSERT_EQ(denied.size(), 1u);
  for (const auto& flow : Flows()) {
    if (flow.state == datapath::FlowState::kDenied) continue;
    for (int way = 0; way < SL_FLOW_WAYS; ++way)
      if (static_cast<std::uint32_t>(way) != denied[0].slot % SL_FLOW_WAYS)
        PutBeside(denied[0].slot, way, {flow.key, flow.entry}, SL_FLOW_ESTABLISHED);
  }
  for (int i = 0; i < 2; ++i) EXPECT_FALSE(FromPod(kWeb, FromWeb()).forwarded);
  EXPECT_EQ(Denied()[0].entry.forward_packets, 3u);
}

}  // namespace
}  // namespace sluice::test
