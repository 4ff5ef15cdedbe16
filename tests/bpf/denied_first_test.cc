// After a denied packet the next is looked for among denied flows first. That must never stand in the way of a flow
// that is allowed.
#include <gtest/gtest.h>

#include "ctrl/bpf/map.h"
#include "tests/support/shop.h"

namespace sluice::test {
namespace {

class DeniedFirst : public Shop {
 protected:
  void SetUp() override {
    Shop::SetUp();
    Enforce(DbPolicy());
    bed_->SetClock(1000);
  }

  // Of a flow that db may open, and web may not.
  static Packet FromWeb() { return Eth{} / Ipv4{.src = kWebIp, .dst = kDbIp} / Udp{.sport = 40000, .dport = 53}; }
  static Packet FromDb() { return Eth{} / Ipv4{.src = kDbIp, .dst = kWebIp} / Udp{.sport = 53, .dport = 40000}; }
  static Packet Flood() { return Eth{} / Ipv4{.src = kOtherIp, .dst = kDbIp} / Udp{.dport = 7}; }

  std::vector<datapath::FlowRecord> Denied() {
    std::vector<datapath::FlowRecord> denied;
    for (const datapath::FlowRecord& flow : Flows())
      if (flow.table == datapath::FlowTable::kDenied) denied.push_back(flow);
    return denied;
  }
};

TEST_F(DeniedFirst, ADeniedFlowCountsItsPackets) {
  for (int i = 0; i < 3; ++i) EXPECT_FALSE(FromPod(kWeb, FromWeb()).forwarded);
  ASSERT_EQ(Denied().size(), 1u);
  EXPECT_EQ(Denied()[0].entry.forward_packets, 3u);
}

TEST_F(DeniedFirst, OthersFlowsPassInTheMiddleOfAFlood) {
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

TEST_F(DeniedFirst, WhoMayOpensTheFlowFromTheOtherEnd) {
  for (int i = 0; i < 3; ++i) EXPECT_FALSE(FromPod(kWeb, FromWeb()).forwarded);
  ASSERT_TRUE(FromPod(kDb, FromDb()).forwarded);
  EXPECT_TRUE(Denied().empty()) << "the flow is another now";
  for (int i = 0; i < 3; ++i) {
    EXPECT_FALSE(FromPod(kOther, Flood()).forwarded);
    EXPECT_TRUE(FromPod(kWeb, FromWeb()).forwarded) << "an answer";
    EXPECT_TRUE(FromPod(kDb, FromDb()).forwarded);
  }
}

// As when another CPU writes its denial down just after the flow was opened from the other end.
TEST_F(DeniedFirst, ARecordThatComesTooLateIsNotBelievedForLong) {
  ASSERT_FALSE(FromPod(kWeb, FromWeb()).forwarded);
  ASSERT_FALSE(FromPod(kWeb, FromWeb()).forwarded);
  const auto denied = Denied();
  ASSERT_EQ(denied.size(), 1u);
  ASSERT_TRUE(FromPod(kDb, FromDb()).forwarded);
  ASSERT_TRUE(FromPod(kWeb, FromWeb()).forwarded);
  const auto map =
      bpf::Map<sl_flow_key, sl_flow_entry>::Bind(bed_->datapath().object().map_fd("ct_denied"), "ct_denied");
  ASSERT_TRUE(map.ok()) << map.status();
  ASSERT_TRUE(map->Put(denied[0].key, denied[0].entry).ok());
  bed_->SetClock(1001);
  EXPECT_FALSE(FromPod(kOther, Flood()).forwarded);
  EXPECT_TRUE(FromPod(kWeb, FromWeb()).forwarded);
}

}  // namespace
}  // namespace sluice::test
