// The states of a flow: promotion, closing and reopening, revocation, foreign packets, reused addresses, fragments.
#include <gtest/gtest.h>

#include "tests/support/sample_cluster.h"

namespace sluice::test {
namespace {

using datapath::FlowState;

class Conntrack : public SampleCluster {
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
  std::uint64_t clock_ = 1000;  // seconds, in tests that set it
};

TEST_F(Conntrack, TheHandshakePromotes) {
  FromPod(kWeb, ToDb(kSyn));
  EXPECT_EQ(TheFlow().state, FlowState::kPending);
  const Evaluated answer = FromPod(kDb, ToWeb(kSyn | kAck));
  EXPECT_EQ(answer.moves, Moves()
                              .Packet(SL_HOOK_TC_FROM_POD, SL_DROP_NONE, answer.bytes)
                              .Egress(2, SL_DROP_NONE, answer.bytes)
                              .Changed("pending"));
  EXPECT_FALSE(TheFlow().entry.flags & SL_CT_ESTABLISHED);
  const Evaluated third = FromPod(kWeb, ToDb(kAck));
  EXPECT_EQ(third.moves, Moves()
                             .Packet(SL_HOOK_TC_FROM_POD, SL_DROP_NONE, third.bytes)
                             .Egress(1, SL_DROP_NONE, third.bytes)
                             .Removed("pending")
                             .Added("established"));
  const auto flow = TheFlow();
  EXPECT_TRUE(flow.entry.flags & SL_CT_ESTABLISHED);
  EXPECT_EQ(flow.entry.forward_packets, 2u);
  EXPECT_EQ(flow.entry.reply_packets, 1u);
  EXPECT_EQ(flow.entry.reply_bytes, 40u);
}

TEST_F(Conntrack, TimeOutsFollowTheState) {
  Establish();
  const auto is_over_after = [this](std::uint64_t seconds) {
    fixture_->SetClock(clock_ += seconds);
    const Evaluated evaluated = FromPod(kDb, ToWeb(kAck));
    EXPECT_TRUE(evaluated.forwarded);
    return evaluated.moves != Moves()
                                  .Packet(SL_HOOK_TC_FROM_POD, SL_DROP_NONE, evaluated.bytes)
                                  .Egress(2, SL_DROP_NONE, evaluated.bytes)
                                  .Changed("established") &&
           TheFlow().entry.reply_packets == 1;
  };
  EXPECT_FALSE(is_over_after(7200)) << "the moment of the first keepalive";
  EXPECT_FALSE(is_over_after(7440)) << "RFC 5382, REQ-5";
  EXPECT_TRUE(is_over_after(7441));
}

// A FIN of one end counts once the other end acknowledges it.
class Ends : public Conntrack {
 protected:
  static constexpr std::uint32_t kWebSeq = 5000, kDbSeq = 90000;
  static Packet Web(std::uint8_t flags, std::uint32_t seq, std::uint32_t ack, int payload = 0) {
    return Eth{} / Ipv4{.src = kWebIp, .dst = kDbIp} /
           Tcp{.sport = 40000, .dport = 5432, .flags = flags, .seq = seq, .ack = ack} / Payload{payload};
  }
  static Packet Db(std::uint8_t flags, std::uint32_t seq, std::uint32_t ack, int payload = 0) {
    return Eth{} / Ipv4{.src = kDbIp, .dst = kWebIp} /
           Tcp{.sport = 5432, .dport = 40000, .flags = flags, .seq = seq, .ack = ack} / Payload{payload};
  }
  void Connect() {
    ASSERT_TRUE(FromPod(kWeb, Web(kSyn, kWebSeq, 0)).forwarded);
    ASSERT_TRUE(FromPod(kDb, Db(kSyn | kAck, kDbSeq, kWebSeq + 1)).forwarded);
    ASSERT_TRUE(FromPod(kWeb, Web(kAck, kWebSeq + 1, kDbSeq + 1)).forwarded);
    ASSERT_EQ(TheFlow().state, FlowState::kEstablished);
  }
  // True when the flow is still the same after this idle time.
  bool InstancesAfter(std::uint64_t seconds) {
    const auto before = TheFlow().entry;
    fixture_->SetClock(clock_ += seconds);
    EXPECT_TRUE(FromPod(kDb, Db(kAck, kDbSeq + 1, kWebSeq + 1)).forwarded);
    return TheFlow().entry.created_ns == before.created_ns;
  }
};

TEST_F(Ends, AnAcknowledgementThatNobodyCouldKnowEstablishesNothing) {
  ASSERT_TRUE(FromPod(kWeb, Web(kSyn, kWebSeq, 0)).forwarded);
  ASSERT_TRUE(FromPod(kDb, Db(kSyn | kAck, kDbSeq, kWebSeq + 1)).forwarded);
  for (const std::uint32_t guess : {0U, 1U, kDbSeq, kDbSeq + 1 + (1U << 18), kDbSeq + (1U << 31)}) {
    EXPECT_TRUE(FromPod(kWeb, Web(kAck, kWebSeq + 1, guess)).forwarded) << "policy allows it";
    EXPECT_EQ(TheFlow().state, FlowState::kPending) << guess;
  }
  EXPECT_TRUE(FromPod(kWeb, Web(kAck, kWebSeq + 1, kDbSeq + 1 + 20000)).forwarded) << "the first ones were lost";
  EXPECT_EQ(TheFlow().state, FlowState::kEstablished);
}

TEST_F(Ends, AResetThatBothIgnoreEndsNothing) {
  Connect();
  ASSERT_TRUE(FromPod(kDb, Db(kRst, 1, 0)).forwarded) << "out of window";
  EXPECT_EQ(TheFlow().state, FlowState::kClosing) << "goes first, should there be no room";
  EXPECT_TRUE(InstancesAfter(240)) << "RFC 5382, REQ-5";
  EXPECT_EQ(TheFlow().state, FlowState::kEstablished) << "it goes on";
  EXPECT_TRUE(InstancesAfter(7440));
  ASSERT_TRUE(FromPod(kWeb, Web(kRst | kAck, kWebSeq + 1, kDbSeq + 1)).forwarded);
  EXPECT_FALSE(InstancesAfter(241)) << "nobody went on";
}

TEST_F(Ends, ARefusedConnectionIsOverSoon) {
  ASSERT_TRUE(FromPod(kWeb, Web(kSyn, kWebSeq, 0)).forwarded);
  ASSERT_TRUE(FromPod(kDb, Db(kRst | kAck, 0, kWebSeq + 1)).forwarded);
  EXPECT_EQ(TheFlow().state, FlowState::kClosing);
  EXPECT_FALSE(InstancesAfter(11));
}

TEST_F(Ends, FinsThatAreNotDeliveredEndNothing) {
  Connect();
  ASSERT_TRUE(FromPod(kWeb, Web(kFin | kAck, kWebSeq + 1, kDbSeq + 1, 100)).forwarded);
  ASSERT_TRUE(FromPod(kDb, Db(kFin | kAck, kDbSeq + 1, kWebSeq + 1, 50)).forwarded) << "crosses it, and both are lost";
  EXPECT_EQ(TheFlow().state, FlowState::kEstablished);
  EXPECT_TRUE(InstancesAfter(240));
  // Only a part is acknowledged: the data, but not the FIN.
  ASSERT_TRUE(FromPod(kDb, Db(kAck, kDbSeq + 1, kWebSeq + 1 + 100)).forwarded);
  EXPECT_EQ(TheFlow().entry.flags & (SL_CT_FIN_FORWARD_AGREED | SL_CT_FIN_REPLY_AGREED), 0u);
  ASSERT_TRUE(FromPod(kDb, Db(kAck, kDbSeq + 1, kWebSeq + 1 + 101)).forwarded);
  EXPECT_EQ(TheFlow().state, FlowState::kEstablished) << "half closed";
  ASSERT_TRUE(FromPod(kWeb, Web(kAck, kWebSeq + 102, kDbSeq + 1 + 51)).forwarded);
  EXPECT_EQ(TheFlow().state, FlowState::kClosing);
  EXPECT_TRUE(InstancesAfter(10));
  EXPECT_FALSE(InstancesAfter(11));
}

TEST_F(Ends, AHalfClosedConnectionMayBeIdle) {
  Connect();
  ASSERT_TRUE(FromPod(kWeb, Web(kFin | kAck, kWebSeq + 1, kDbSeq + 1)).forwarded);
  ASSERT_TRUE(FromPod(kDb, Db(kAck, kDbSeq + 1, kWebSeq + 2)).forwarded);
  EXPECT_TRUE(InstancesAfter(7200));
}

// As behind address translation, where the packet belongs to another flow at the sender's hook: each hook updates the
// state.
TEST_F(Ends, AFinThatOnlyTheReceiversHookSees) {
  ASSERT_TRUE(ToPod(kDb, kWeb, Web(kSyn, kWebSeq, 0)).forwarded);
  ASSERT_TRUE(FromPod(kDb, Db(kSyn | kAck, kDbSeq, kWebSeq + 1)).forwarded);
  ASSERT_TRUE(ToPod(kDb, kWeb, Web(kAck, kWebSeq + 1, kDbSeq + 1)).forwarded);
  EXPECT_EQ(TheFlow().state, FlowState::kEstablished);
  ASSERT_TRUE(ToPod(kDb, kWeb, Web(kFin | kAck, kWebSeq + 1, kDbSeq + 1)).forwarded);
  ASSERT_TRUE(FromPod(kDb, Db(kFin | kAck, kDbSeq + 1, kWebSeq + 2)).forwarded);
  ASSERT_TRUE(ToPod(kDb, kWeb, Web(kAck, kWebSeq + 2, kDbSeq + 2)).forwarded);
  EXPECT_EQ(TheFlow().state, FlowState::kClosing);
}

TEST_F(Ends, SingleQuestionsAreOverSoonerThanTalks) {
  const auto datagram = [](bool back) {
    return Eth{} / Ipv4{.src = back ? kDbIp : kWebIp, .dst = back ? kWebIp : kDbIp} /
           Udp{.sport = static_cast<std::uint16_t>(back ? 53 : 40000),
               .dport = static_cast<std::uint16_t>(back ? 40000 : 53)} /
           Payload{};
  };
  Enforce();
  const auto instances_after = [&](std::uint64_t seconds) {
    const auto before = TheFlow().entry;
    fixture_->SetClock(clock_ += seconds);
    EXPECT_TRUE(FromPod(kWeb, datagram(false)).forwarded);
    return TheFlow().entry.created_ns == before.created_ns;
  };
  ASSERT_TRUE(FromPod(kWeb, datagram(false)).forwarded);
  ASSERT_TRUE(FromPod(kDb, datagram(true)).forwarded);
  EXPECT_EQ(TheFlow().state, FlowState::kPending) << "one question";
  EXPECT_FALSE(instances_after(31));
  ASSERT_TRUE(FromPod(kDb, datagram(true)).forwarded);
  ASSERT_TRUE(FromPod(kDb, datagram(true)).forwarded);
  EXPECT_EQ(TheFlow().state, FlowState::kPending) << "still one";
  EXPECT_TRUE(instances_after(30));
  EXPECT_EQ(TheFlow().state, FlowState::kEstablished) << "the second";
  EXPECT_TRUE(instances_after(180));
  EXPECT_FALSE(instances_after(181));
}

TEST_F(Conntrack, ASynReopensWhatIsOver) {
  for (const bool reset : {false, true}) {
    SCOPED_TRACE(reset);
    ASSERT_TRUE(fixture_->ForgetFlows().ok());
    Establish();
    if (reset) {
      ASSERT_TRUE(FromPod(kDb, ToWeb(kRst)).forwarded);
    } else {
      ASSERT_TRUE(FromPod(kWeb, ToDb(kFin | kAck)).forwarded);
      EXPECT_FALSE(FromPod(kWeb, ToDb(kSyn)).moves == Moves()) << "half closed";
      EXPECT_EQ(TheFlow().state, FlowState::kEstablished) << "a SYN into a half-closed connection reopens nothing";
      ASSERT_TRUE(FromPod(kDb, ToWeb(kFin | kAck)).forwarded);
    }
    const Evaluated again = FromPod(kWeb, ToDb(kSyn));
    EXPECT_EQ(again.moves, Moves()
                               .Packet(SL_HOOK_TC_FROM_POD, SL_DROP_NONE, again.bytes)
                               .Egress(1, SL_DROP_NONE, again.bytes)
                               .Count(SL_COUNTER_FLOW_NEW)
                               .Removed(reset ? "closing" : "established")
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
  const Evaluated syn = FromPod(kWeb, ToDb(kSyn));
  EXPECT_EQ(syn.reason, SL_DROP_POLICY_DENIED);
  EXPECT_EQ(FromPod(kDb, ToWeb(kAck | kPsh)).reason, SL_DROP_POLICY_DENIED) << "db's data would open it anew";
  EXPECT_TRUE(TheFlow().entry.flags & SL_CT_REVOKED);
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
  const Evaluated kept = FromPod(kWeb, ToDb(kAck));
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
  const Evaluated first = FromPod(kWeb, ToDb(kAck));
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
  const auto datagram = [](const char* src, std::uint16_t sport, const char* dst, std::uint16_t dport) {
    return Eth{} / Ipv4{.src = src, .dst = dst} / Udp{.sport = sport, .dport = dport} / Payload{};
  };
  ASSERT_TRUE(FromPod(kWeb, datagram(kWebIp, 40000, kOtherIp, 53)).forwarded);
  ASSERT_TRUE(FromPod(kOther, datagram(kOtherIp, 53, kWebIp, 40000)).forwarded);
  Replace(kWeb, "web-2");
  Enforce(DbPolicy() + Isolate("web"));
  EXPECT_EQ(FromPod(kOther, datagram(kOtherIp, 53, kWebIp, 40000)).reason, SL_DROP_POLICY_DENIED);
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
    const Evaluated first = FromPod(kWeb, fragment(0, true) / Tcp{.dport = 5432} / Payload{60});
    EXPECT_EQ(first.moves, Moves()
                               .Packet(SL_HOOK_TC_FROM_POD, SL_DROP_NONE, first.bytes)
                               .Egress(1, SL_DROP_NONE, first.bytes)
                               .Count(SL_COUNTER_FLOW_NEW)
                               .Added("fragments")
                               .Added("pending"));
    const Evaluated later = FromPod(kWeb, fragment(10, false) / Payload{64});
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
  const Evaluated spoofed = FromPod(kOther, Eth{} / first / Tcp{.dport = 1} / Payload{60});
  EXPECT_EQ(spoofed.moves, Moves()
                               .Packet(SL_HOOK_TC_FROM_POD, SL_DROP_SPOOFED_SOURCE, spoofed.bytes)
                               .Egress(3, SL_DROP_SPOOFED_SOURCE, spoofed.bytes)
                               .Added("denied"));
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
