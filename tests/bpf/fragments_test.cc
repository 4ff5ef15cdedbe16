// Fragments: each workload has its own table of the latest first fragments, sent by it or received from elsewhere. One
// workload never evicts another's entries.
#include <gtest/gtest.h>

#include "tests/support/sample_cluster.h"

namespace sluice::test {
namespace {

constexpr int kFlood = 10000;

class Fragments : public SampleCluster {
 protected:
  static Packet First(const std::string& src, const std::string& dst, int id, std::uint16_t port = 5432) {
    return Eth{} /
           Ipv4{.src = src,
                .dst = dst,
                .id = static_cast<std::uint16_t>(id),
                .fragment_offset = 0,
                .more_fragments = true} /
           Tcp{.dport = port} / Payload{60};
  }
  static Packet Later(const std::string& src, const std::string& dst, int id) {
    return Eth{} /
           Ipv4{.src = src, .dst = dst, .protocol = 6, .id = static_cast<std::uint16_t>(id), .fragment_offset = 10} /
           Payload{64};
  }
  bool LaterPasses(int id) {
    const auto verdict = fixture_->FromPod(ifindex(kWeb), Later(kWebIp, kDbIp, id).ToFrame());
    EXPECT_TRUE(verdict.ok()) << verdict.status();
    if (!verdict.ok()) return false;
    EXPECT_TRUE(verdict->forwarded || verdict->reason == SL_DROP_FRAGMENT_NOT_FOUND) << verdict->reason;
    return verdict->forwarded;
  }
  void FirstPasses(int id) {
    const auto verdict = fixture_->FromPod(ifindex(kWeb), First(kWebIp, kDbIp, id).ToFrame());
    ASSERT_TRUE(verdict.ok() && verdict->forwarded);
  }
};

TEST_F(Fragments, AnotherPodsFloodPushesNothingOut) {
  FirstPasses(1);
  for (int i = 0; i < kFlood; ++i)
    ASSERT_TRUE(fixture_->FromPod(ifindex(kOther), First(kOtherIp, kRemoteIp, i).ToFrame()).ok());
  EXPECT_TRUE(LaterPasses(1));
}

TEST_F(Fragments, AFloodFromElsewhereIsItsReceiversAlone) {
  FirstPasses(1);
  for (int i = 0; i < kFlood / 2; ++i) {
    ASSERT_TRUE(fixture_->ToPod(ifindex(kOther), ifindex(kElsewhere), First("192.0.2.9", kOtherIp, i).ToFrame()).ok());
    ASSERT_TRUE(fixture_->FromWire(First("192.0.2.9", kOtherIp, kFlood + i).ToFrame()).ok());
  }
  EXPECT_TRUE(LaterPasses(1));
}

TEST_F(Fragments, WhatIsDroppedForItsSourceLeavesNothing) {
  ASSERT_TRUE(fixture_->FromPod(ifindex(kOther), First(kWebIp, kDbIp, 1).ToFrame()).ok());
  EXPECT_FALSE(LaterPasses(1));
}

// A bridge floods a foreign packet with web's address as source; its source was not checked before.
TEST_F(Fragments, WhatIsDroppedForItsReceiverLeavesNothing) {
  FirstPasses(1);
  for (int i = 2; i < 2 + 2 * SL_FRAGMENTS; ++i)
    EXPECT_EQ(ToPod(kOther, kElsewhere, First(kWebIp, kDbIp, i)).reason, SL_DROP_WRONG_RECEIVER);
  EXPECT_TRUE(LaterPasses(1)) << "none is pushed out";
  EXPECT_EQ(ToPod(kOther, kElsewhere, First(kWebIp, kDbIp, 1, 22)).reason, SL_DROP_WRONG_RECEIVER);
  EXPECT_TRUE(LaterPasses(1)) << "nor has another one's ports";
}

TEST_F(Fragments, AWorkloadHasItsNewestAlsoThroughBothHooks) {
  for (int i = 0; i < 2 * SL_FRAGMENTS; ++i) {
    FirstPasses(i);
    ASSERT_TRUE(fixture_->ToPod(ifindex(kDb), ifindex(kWeb), First(kWebIp, kDbIp, i).ToFrame()).ok());
  }
  EXPECT_FALSE(LaterPasses(SL_FRAGMENTS - 1)) << "its own oldest go";
  for (int i = SL_FRAGMENTS; i < 2 * SL_FRAGMENTS; ++i) EXPECT_TRUE(LaterPasses(i)) << i;
}

TEST_F(Fragments, AreForgottenAfterAMinute) {
  fixture_->SetClock(1000);
  FirstPasses(1);
  fixture_->SetClock(1055);
  EXPECT_TRUE(LaterPasses(1));
  fixture_->SetClock(1070);
  EXPECT_FALSE(LaterPasses(1));
  FirstPasses(1);
  EXPECT_TRUE(LaterPasses(1));
}

TEST_F(Fragments, OfWhatIsForNoLocalWorkloadPassTheCard) {
  const Evaluated later = FromWire(Later("192.0.2.9", "192.0.2.10", 1));
  EXPECT_TRUE(later.forwarded) << "the card is not ours alone";
  EXPECT_EQ(FromWire(Later("192.0.2.9", kDbIp, 1)).reason, SL_DROP_FRAGMENT_NOT_FOUND);
}

TEST_F(Fragments, OfMulticastBelongToTheReceiver) {
  const sl_interface facts{.address = policy::Address::Parse(kWebIp)->abi()};
  ASSERT_TRUE(fixture_->datapath().DescribeInterface(ifindex(kWeb), facts).ok());
  const std::string group = "224.0.1.1";
  EXPECT_TRUE(ToPod(kWeb, kElsewhere, First("192.0.2.9", group, 1)).forwarded);
  EXPECT_TRUE(ToPod(kWeb, kElsewhere, Later("192.0.2.9", group, 1)).forwarded);
  EXPECT_EQ(ToPod(kWeb, kElsewhere, Later("192.0.2.9", group, 2)).reason, SL_DROP_FRAGMENT_NOT_FOUND);
}

}  // namespace
}  // namespace sluice::test
