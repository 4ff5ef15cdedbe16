// Flow events: none while nobody watches; then one when a flow is new, at most one each five seconds, and one at once
// when its verdict changes.
#include <gtest/gtest.h>

#include "tests/support/shop.h"

namespace sluice::test {
namespace {

class Events : public Shop {
 protected:
  void SetUp() override {
    Shop::SetUp();
    Configure(SL_SETTING_EVENTS);
  }
  static Moves Nothing() { return {}; }
};

TEST_F(Events, NoneWhileNobodyWatches) {
  Configure(0);
  EXPECT_TRUE(FromPod(kWeb, ToDb(kSyn)).events.empty());
  EXPECT_TRUE(FromPod(kOther, Tcp4(kOtherIp, kDbIp, 5432)).events.empty());
  bed_->SetClock(1006);
  EXPECT_TRUE(FromPod(kDb, ToWeb(kSyn | kAck)).events.empty());
  Enforce(Isolate("db"));
  EXPECT_TRUE(FromPod(kWeb, ToDb(kAck)).events.empty());
}

TEST_F(Events, ANewFlowIsToldWithItsFirstPacket) {
  const Judged sent = FromPod(kWeb, ToDb(kSyn));
  EXPECT_EQ(sent.moves, Moves()
                            .Packet(SL_HOOK_TC_FROM_POD, SL_DROP_NONE, sent.bytes)
                            .Egress(1, SL_DROP_NONE, sent.bytes)
                            .Count(SL_COUNTER_FLOW_NEW)
                            .Added("pending")
                            .Event(SL_FLOW_NEW));
  ASSERT_EQ(sent.events.size(), 1u);
  const sl_flow_event& event = sent.events[0];
  EXPECT_EQ(event.ifindex, ifindex(kWeb));
  EXPECT_EQ(event.reply, 0);
  EXPECT_EQ(event.time_ns, 1000 * SL_SECOND_NS);
  EXPECT_EQ(event.entry.forward_packets, 1u) << "as it was after this packet";
  EXPECT_EQ(event.entry.tcp_flags, kSyn);
  EXPECT_EQ(event.entry.hook, SL_HOOK_TC_FROM_POD);
  EXPECT_EQ(event.entry.reason, SL_DROP_NONE);
  // The packet's other end tells nothing new.
  EXPECT_TRUE(ToPod(kDb, kWeb, ToDb(kSyn)).events.empty());
}

TEST_F(Events, ADeniedFlowIsToldOnceAndThenEachFiveSeconds) {
  const Packet syn = Tcp4(kOtherIp, kDbIp, 5432);
  const Judged first = FromPod(kOther, syn);
  ASSERT_EQ(first.events.size(), 1u);
  EXPECT_EQ(first.events[0].type, SL_FLOW_NEW);
  EXPECT_EQ(first.events[0].entry.reason, SL_DROP_POLICY_DENIED);
  EXPECT_NE(first.events[0].entry.ingress_decision, 0u);
  bed_->SetClock(1004);
  EXPECT_TRUE(FromPod(kOther, syn).events.empty());
  bed_->SetClock(1005);
  const Judged later = FromPod(kOther, syn);
  ASSERT_EQ(later.events.size(), 1u);
  EXPECT_EQ(later.events[0].type, SL_FLOW_UPDATE);
  EXPECT_EQ(later.events[0].entry.forward_packets, 3u);
}

TEST_F(Events, AFlowThatGoesOnIsToldEachFiveSeconds) {
  FromPod(kWeb, ToDb(kSyn));
  EXPECT_TRUE(FromPod(kDb, ToWeb(kSyn | kAck)).events.empty()) << "an answer alone is no news";
  bed_->SetClock(1004);
  EXPECT_TRUE(FromPod(kWeb, ToDb(kAck)).events.empty());
  bed_->SetClock(1005);
  const Judged update = FromPod(kDb, ToWeb(kAck));
  EXPECT_EQ(update.moves, Moves()
                              .Packet(SL_HOOK_TC_FROM_POD, SL_DROP_NONE, update.bytes)
                              .Egress(2, SL_DROP_NONE, update.bytes)
                              .Changed("established")
                              .Event(SL_FLOW_UPDATE));
  ASSERT_EQ(update.events.size(), 1u);
  EXPECT_EQ(update.events[0].reply, 1);
  EXPECT_EQ(update.events[0].entry.reply_packets, 2u);
  bed_->SetClock(1009);
  EXPECT_TRUE(FromPod(kWeb, ToDb(kAck)).events.empty());
  bed_->SetClock(1010);
  EXPECT_EQ(FromPod(kWeb, ToDb(kAck)).events.size(), 1u);
}

TEST_F(Events, AChangedVerdictIsToldAtOnce) {
  FromPod(kWeb, ToDb(kSyn));
  FromPod(kDb, ToWeb(kSyn | kAck));
  Enforce(Isolate("db"));
  const Judged cut = FromPod(kWeb, ToDb(kAck));
  EXPECT_EQ(cut.moves, Moves()
                           .Packet(SL_HOOK_TC_FROM_POD, SL_DROP_POLICY_DENIED, cut.bytes)
                           .Egress(1, SL_DROP_POLICY_DENIED, cut.bytes)
                           .Count(SL_COUNTER_FLOW_REDECIDED)
                           .Count(SL_COUNTER_FLOW_CUT)
                           .Changed("established")
                           .Event(SL_FLOW_UPDATE));
  ASSERT_EQ(cut.events.size(), 1u);
  EXPECT_EQ(cut.events[0].entry.reason, SL_DROP_POLICY_DENIED);
  EXPECT_TRUE(cut.events[0].entry.flags & SL_CT_CUT);
  EXPECT_TRUE(FromPod(kWeb, ToDb(kAck)).events.empty());
  Enforce(DbPolicy());
  const Judged healed = FromPod(kWeb, ToDb(kAck));
  ASSERT_EQ(healed.events.size(), 1u);
  EXPECT_EQ(healed.events[0].entry.reason, SL_DROP_NONE);
}

TEST_F(Events, AnUnrelatedGenerationIsNoNews) {
  FromPod(kWeb, ToDb(kSyn));
  Enforce(DbPolicy() + Isolate("other"));
  const Judged sent = FromPod(kWeb, ToDb(kSyn));
  EXPECT_EQ(sent.moves, Moves()
                            .Packet(SL_HOOK_TC_FROM_POD, SL_DROP_NONE, sent.bytes)
                            .Egress(1, SL_DROP_NONE, sent.bytes)
                            .Count(SL_COUNTER_FLOW_REDECIDED)
                            .Changed("pending"));
}

TEST_F(Events, WhatTheRingCannotHoldIsCounted) {
  constexpr int kFlows = 30000;  // more than 4 MB of records
  const auto before = bed_->datapath().ReadCounters();
  ASSERT_TRUE(before.ok());
  const int fd = bed_->datapath().object().program_fd("tc_from_pod");
  for (int i = 0; i < kFlows; ++i) {
    const Frame frame = Tcp4(kWebIp, kOtherIp, static_cast<std::uint16_t>(1 + i)).ToFrame();
    ASSERT_TRUE(bpf::TestRunTc(fd, {.frame = frame, .ifindex = ifindex(kWeb)}).ok());
  }
  const auto after = bed_->datapath().ReadCounters();
  ASSERT_TRUE(after.ok());
  const auto told = bed_->datapath().PollEvents([](const sl_flow_event&) {});
  ASSERT_TRUE(told.ok()) << told.status();
  const auto lost = after->events[SL_COUNTER_EVENT_LOST_RING_FULL] - before->events[SL_COUNTER_EVENT_LOST_RING_FULL];
  EXPECT_GT(lost, 0u);
  EXPECT_EQ(static_cast<std::uint64_t>(*told) + lost, static_cast<std::uint64_t>(kFlows));
}

}  // namespace
}  // namespace sluice::test
