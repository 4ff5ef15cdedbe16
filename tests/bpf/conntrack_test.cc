// The life of a flow: promotion, closing and reopening, cutting, strangers, reused addresses, fragments.
#include <gtest/gtest.h>

#include "tests/support/shop.h"

namespace sluice::test {
namespace {

using datapath::FlowState;

class Conntrack : public Shop {
 protected:
  void Establish() {
    ASSERT_TRUE(FromPod(kWeb, ToDb(kSyn)).forwarded);
    ASSERT_TRUE(FromPod(kDb, ToWeb(kSyn | kAck)).forwarded);
    ASSERT_TRUE(FromPod(kWeb, ToDb(kAck)).forwarded);
  }
  datapath::FlowRecord TheFlow() {
    const auto flows = Flows();
    EXPECT_EQ(flows.size(), 1u);
    return flows.empty() ? datapath::FlowRecord{} : flows[0];
  }
};

TEST_F(Conntrack, TheFirstAnswerPromotes) {
  FromPod(kWeb, ToDb(kSyn));
  EXPECT_EQ(TheFlow().state, FlowState::kPending);
  const Judged answer = FromPod(kDb, ToWeb(kSyn | kAck));
  EXPECT_EQ(answer.moves, Moves()
                              .Packet(SL_HOOK_TC_FROM_POD, SL_DROP_NONE, answer.bytes)
                              .Egress(2, SL_DROP_NONE, answer.bytes)
                              .Removed("pending")
                              .Added("established"));
  EXPECT_FALSE(TheFlow().entry.flags & SL_CT_ESTABLISHED);
  const Judged third = FromPod(kWeb, ToDb(kAck));
  EXPECT_EQ(third.moves, Moves()
                             .Packet(SL_HOOK_TC_FROM_POD, SL_DROP_NONE, third.bytes)
                             .Egress(1, SL_DROP_NONE, third.bytes)
                             .Changed("established"));
  const auto flow = TheFlow();
  EXPECT_TRUE(flow.entry.flags & SL_CT_ESTABLISHED);
  EXPECT_EQ(flow.entry.forward_packets, 2u);
  EXPECT_EQ(flow.entry.reply_packets, 1u);
  EXPECT_EQ(flow.entry.reply_bytes, 40u);
}

TEST_F(Conntrack, TimeOutsFollowTheState) {
  Enforce(DbPolicy() + Isolate("web"));
  Establish();
  bed_->SetClock(1000 + 7200);
  EXPECT_TRUE(FromPod(kDb, ToWeb(kAck)).forwarded);
  ASSERT_TRUE(FromPod(kWeb, ToDb(kFin | kAck)).forwarded);
  ASSERT_TRUE(FromPod(kDb, ToWeb(kFin | kAck)).forwarded);
  bed_->SetClock(1000 + 7200 + 10);
  EXPECT_TRUE(FromPod(kDb, ToWeb(kAck)).forwarded);
  bed_->SetClock(1000 + 7200 + 21);
  EXPECT_EQ(FromPod(kDb, ToWeb(kAck)).reason, SL_DROP_POLICY_DENIED) << "over: judged as a flow of db's own";
}

TEST_F(Conntrack, ASynReopensWhatIsOver) {
  for (const bool reset : {false, true}) {
    SCOPED_TRACE(reset);
    ASSERT_TRUE(bed_->ForgetFlows().ok());
    Establish();
    if (reset) {
      ASSERT_TRUE(FromPod(kDb, ToWeb(kRst)).forwarded);
    } else {
      ASSERT_TRUE(FromPod(kWeb, ToDb(kFin | kAck)).forwarded);
      EXPECT_FALSE(FromPod(kWeb, ToDb(kSyn)).moves == Moves()) << "half closed";
      EXPECT_EQ(TheFlow().state, FlowState::kEstablished) << "a SYN into a half-closed connection reopens nothing";
      ASSERT_TRUE(FromPod(kDb, ToWeb(kFin | kAck)).forwarded);
    }
    const Judged again = FromPod(kWeb, ToDb(kSyn));
    EXPECT_EQ(again.moves, Moves()
                               .Packet(SL_HOOK_TC_FROM_POD, SL_DROP_NONE, again.bytes)
                               .Egress(1, SL_DROP_NONE, again.bytes)
                               .Count(SL_COUNTER_FLOW_NEW)
                               .Removed("established")
                               .Added("pending")
                               .Event(SL_FLOW_END));
    EXPECT_EQ(TheFlow().entry.forward_packets, 1u);
  }
}

TEST_F(Conntrack, ARevokedFlowIsCutAndASynDoesNotLiftTheCut) {
  Establish();
  Enforce(Isolate("db"));
  EXPECT_EQ(FromPod(kWeb, ToDb(kAck)).reason, SL_DROP_POLICY_DENIED);
  EXPECT_EQ(FromPod(kDb, ToWeb(kAck)).reason, SL_DROP_POLICY_DENIED);
  const Judged syn = FromPod(kWeb, ToDb(kSyn));
  EXPECT_EQ(syn.reason, SL_DROP_POLICY_DENIED);
  EXPECT_EQ(FromPod(kDb, ToWeb(kAck | kPsh)).reason, SL_DROP_POLICY_DENIED) << "db's data would open it anew";
  EXPECT_TRUE(TheFlow().entry.flags & SL_CT_CUT);
  Enforce(DbPolicy());
  EXPECT_TRUE(FromPod(kWeb, ToDb(kAck)).forwarded) << "allowed again";
}

TEST_F(Conntrack, TheOtherEndMayOpenACutFlowsPortsWherePolicyAllows) {
  Establish();
  Enforce(Isolate("db"));
  EXPECT_FALSE(FromPod(kWeb, ToDb(kAck)).forwarded);
  EXPECT_TRUE(FromPod(kDb, ToWeb(kSyn)).forwarded) << "web is not isolated";
  EXPECT_EQ(TheFlow().entry.initiator.endpoint, 2u);
}

TEST_F(Conntrack, AStrangersSynLiftsNoCut) {
  Establish();
  Enforce(Isolate("db"));
  EXPECT_FALSE(FromPod(kWeb, ToDb(kAck)).forwarded);
  EXPECT_EQ(FromPod(kOther, ToWeb(kSyn)).reason, SL_DROP_SPOOFED_SOURCE);
  EXPECT_EQ(FromPod(kDb, ToWeb(kAck | kPsh)).reason, SL_DROP_POLICY_DENIED);
}

TEST_F(Conntrack, KeepEstablishedSparesAnsweredFlowsOnly) {
  Configure(SL_SETTING_KEEP_ESTABLISHED);
  Establish();
  const Packet lone = Tcp4(kWebIp, kDbIp, 5432, kSyn, 41000);
  ASSERT_TRUE(FromPod(kWeb, lone).forwarded);
  Enforce(Isolate("db"));
  const Judged kept = FromPod(kWeb, ToDb(kAck));
  EXPECT_EQ(kept.moves, Moves()
                            .Packet(SL_HOOK_TC_FROM_POD, SL_DROP_NONE, kept.bytes)
                            .Egress(1, SL_DROP_NONE, kept.bytes)
                            .Count(SL_COUNTER_FLOW_REDECIDED)
                            .Changed("established"));
  EXPECT_EQ(FromPod(kWeb, lone).reason, SL_DROP_POLICY_DENIED) << "never answered";
  EXPECT_EQ(FromPod(kWeb, Tcp4(kWebIp, kDbIp, 5432, kSyn, 42000)).reason, SL_DROP_POLICY_DENIED) << "new";
}

TEST_F(Conntrack, AReusedAddressStartsClean) {
  Establish();
  Replace(kWeb, "web-2");
  Enforce(DbPolicy());
  const Judged first = FromPod(kWeb, ToDb(kAck));
  EXPECT_TRUE(first.forwarded) << "the new one may, too";
  EXPECT_EQ(first.moves, Moves()
                             .Packet(SL_HOOK_TC_FROM_POD, SL_DROP_NONE, first.bytes)
                             .Egress(1, SL_DROP_NONE, first.bytes)
                             .Count(SL_COUNTER_FLOW_NEW)
                             .Removed("established")
                             .Added("pending")
                             .Event(SL_FLOW_END));
  EXPECT_EQ(TheFlow().entry.forward_packets, 1u);
}

TEST_F(Conntrack, AReusedAddressInheritsNoReplies) {
  Enforce(DbPolicy() + Isolate("web"));
  Establish();
  Replace(kWeb, "web-2");
  Enforce(DbPolicy() + Isolate("web"));
  EXPECT_EQ(FromPod(kDb, ToWeb(kAck)).reason, SL_DROP_POLICY_DENIED);
}

TEST_F(Conntrack, AStrangersPacketLeavesTheFlowAlone) {
  Establish();
  const auto before = TheFlow();
  EXPECT_EQ(FromPod(kOther, ToDb(kRst)).reason, SL_DROP_SPOOFED_SOURCE);
  EXPECT_EQ(FromWire(ToDb(kRst)).reason, SL_DROP_SPOOFED_SOURCE);
  auto flows = Flows();
  ASSERT_EQ(flows.size(), 2u);
  if (flows[0].state == FlowState::kDenied) std::swap(flows[0], flows[1]);
  EXPECT_EQ(flows[0].state, FlowState::kEstablished);
  EXPECT_EQ(flows[0].entry.flags, before.entry.flags);
  EXPECT_EQ(flows[0].entry.forward_packets, before.entry.forward_packets);
}

TEST_F(Conntrack, FragmentsFollowTheFirstInBothFamilies) {
  const auto v4 = [](std::uint16_t offset, bool more) {
    return Eth{} /
           Ipv4{
               .src = kWebIp, .dst = kDbIp, .protocol = 6, .id = 77, .fragment_offset = offset, .more_fragments = more};
  };
  const auto v6 = [](std::uint16_t offset, bool more) {
    return Eth{} / Ipv6{.src = kWebIp6, .dst = kDbIp6} /
           Ipv6Fragment{.id = 77, .offset = offset, .more = more, .next = 6};
  };
  for (const bool ipv6 : {false, true}) {
    SCOPED_TRACE(ipv6);
    const auto fragment = [&](std::uint16_t offset, bool more) { return ipv6 ? v6(offset, more) : v4(offset, more); };
    const Judged first = FromPod(kWeb, fragment(0, true) / Tcp{.dport = 5432} / Payload{60});
    EXPECT_EQ(first.moves, Moves()
                               .Packet(SL_HOOK_TC_FROM_POD, SL_DROP_NONE, first.bytes)
                               .Egress(1, SL_DROP_NONE, first.bytes)
                               .Count(SL_COUNTER_FLOW_NEW)
                               .Added("fragments")
                               .Added("pending"));
    const Judged later = FromPod(kWeb, fragment(10, false) / Payload{64});
    EXPECT_EQ(later.moves, Moves()
                               .Packet(SL_HOOK_TC_FROM_POD, SL_DROP_NONE, later.bytes)
                               .Egress(1, SL_DROP_NONE, later.bytes)
                               .Changed("pending"));
  }
  EXPECT_EQ(Flows().size(), 2u);
}

TEST_F(Conntrack, ASpoofedFirstFragmentLeavesNoPorts) {
  const Ipv4 first{.src = kWebIp, .dst = kDbIp, .protocol = 6, .id = 78, .more_fragments = true};
  Ipv4 later = first;
  later.fragment_offset = 10;
  later.more_fragments = false;
  ASSERT_TRUE(FromPod(kWeb, Eth{} / first / Tcp{.dport = 5432} / Payload{60}).forwarded);
  const Judged spoofed = FromPod(kOther, Eth{} / first / Tcp{.dport = 1} / Payload{60});
  EXPECT_EQ(spoofed.moves, Moves().Packet(SL_HOOK_TC_FROM_POD, SL_DROP_SPOOFED_SOURCE, spoofed.bytes).Added("denied"));
  EXPECT_TRUE(FromPod(kWeb, Eth{} / later / Payload{64}).forwarded);
}

TEST_F(Conntrack, AFragmentOfADeniedFlowIsDeniedByPolicy) {
  const Ipv4 first{.src = kWebIp, .dst = kDbIp, .protocol = 6, .id = 79, .more_fragments = true};
  Ipv4 later = first;
  later.fragment_offset = 10;
  EXPECT_EQ(FromPod(kWeb, Eth{} / first / Tcp{.dport = 1} / Payload{60}).reason, SL_DROP_POLICY_DENIED);
  EXPECT_EQ(FromPod(kWeb, Eth{} / later / Payload{64}).reason, SL_DROP_POLICY_DENIED);
}

TEST_F(Conntrack, AWorkloadReachesItself) {
  EXPECT_TRUE(FromPod(kDb, Tcp4(kDbIp, kDbIp, 9999)).forwarded);
  EXPECT_TRUE(FromPod(kDb, Tcp6(kDbIp6, kDbIp6, 9999)).forwarded);
}

}  // namespace
}  // namespace sluice::test
