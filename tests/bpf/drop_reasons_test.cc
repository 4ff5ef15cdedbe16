// Every drop reason of the packet path, with exactly the counters it changes: one drop counter, and those that belong
// to it. Elsewhere: CONNTRACK_FULL needs a table that refuses (conntrack_full_test.cc), QUARANTINED is in
// quarantine_test.cc, LINK_CONTROL in link_control_test.cc.
#include <gtest/gtest.h>

#include <set>

#include "tests/support/sample_cluster.h"

namespace sluice::test {
namespace {

class DropReasons : public SampleCluster {
 protected:
  enum Receiver { kForAPod, kForNobodyHere };

  // A frame that cannot be evaluated changes only its counter, at each hook. At the uplink it passes unless it seems to
  // be for a pod.
  void ExpectNotEvaluated(int reason, const Packet& packet, Receiver receiver = kForAPod) {
    SCOPED_TRACE(reason);
    const Frame frame = packet.ToFrame();
    EXPECT_EQ(FromPod(kWeb, frame).moves, Moves().Packet(SL_HOOK_TC_FROM_POD, reason, frame.size()));
    EXPECT_EQ(ToPod(kDb, kElsewhere, frame).moves, Moves().Packet(SL_HOOK_TC_TO_POD, reason, frame.size()));
    EXPECT_EQ(FromWire(frame).moves,
              Moves().Packet(SL_HOOK_XDP_UPLINK, receiver == kForAPod ? reason : SL_DROP_NONE, frame.size()));
  }

  // An evaluated packet also leaves a denied-flow entry, and counts at the workload if it is known.
  void ExpectDenied(const Evaluated& evaluated, int hook, int reason, std::uint32_t egress, std::uint32_t ingress) {
    SCOPED_TRACE(reason);
    EXPECT_FALSE(evaluated.forwarded);
    Moves moves;
    moves.Packet(hook, reason, evaluated.bytes).Added("denied");
    if (egress != 0) moves.Egress(egress, reason, evaluated.bytes);
    if (ingress != 0) moves.Ingress(ingress, reason, evaluated.bytes);
    EXPECT_EQ(evaluated.moves, moves);
  }
};

TEST_F(DropReasons, PolicyDenied) {
  ExpectDenied(FromPod(kOther, Tcp4(kOtherIp, kDbIp, 5432)), SL_HOOK_TC_FROM_POD, SL_DROP_POLICY_DENIED, 3, 0);
  ASSERT_TRUE(fixture_->ForgetFlows().ok());
  ExpectDenied(ToPod(kDb, kOther, Tcp4(kOtherIp, kDbIp, 5432)), SL_HOOK_TC_TO_POD, SL_DROP_POLICY_DENIED, 0, 2);
  ExpectDenied(FromWire(Tcp4(kRemoteIp, kDbIp, 5432)), SL_HOOK_XDP_UPLINK, SL_DROP_POLICY_DENIED, 0, 2);
}

TEST_F(DropReasons, DeniedAgainCountsInTheSameRecord) {
  FromPod(kOther, Tcp4(kOtherIp, kDbIp, 5432));
  const Evaluated again = FromPod(kOther, Tcp4(kOtherIp, kDbIp, 5432));
  EXPECT_EQ(again.moves, Moves()
                             .Packet(SL_HOOK_TC_FROM_POD, SL_DROP_POLICY_DENIED, again.bytes)
                             .Egress(3, SL_DROP_POLICY_DENIED, again.bytes)
                             .Changed("denied"));
  const auto flows = Flows();
  ASSERT_EQ(flows.size(), 1u);
  EXPECT_EQ(flows[0].entry.forward_packets, 2u);
  EXPECT_EQ(flows[0].entry.reason, SL_DROP_POLICY_DENIED);
}

TEST_F(DropReasons, DeniedBothWaysNamesTheLastToOpenIt) {
  Enforce(DbPolicy() + Isolate("other"));
  FromPod(kOther, Tcp4(kOtherIp, kDbIp, 7000, kSyn, 7000));
  FromPod(kDb, Tcp4(kDbIp, kOtherIp, 7000, kSyn, 7000));
  const auto flows = Flows();
  ASSERT_EQ(flows.size(), 1u);
  EXPECT_EQ(flows[0].entry.initiator.endpoint, 2u);
  EXPECT_EQ(flows[0].entry.responder.endpoint, 3u);
  EXPECT_EQ(flows[0].entry.forward_packets, 1u);
  EXPECT_EQ(flows[0].entry.reply_packets, 0u);
}

TEST_F(DropReasons, SpoofedSource) {
  ExpectDenied(FromPod(kOther, Tcp4(kWebIp, kDbIp, 5432)), SL_HOOK_TC_FROM_POD, SL_DROP_SPOOFED_SOURCE, 3, 0);
  ExpectDenied(FromPod(kOther, Tcp4("8.8.8.8", kDbIp, 5432)), SL_HOOK_TC_FROM_POD, SL_DROP_SPOOFED_SOURCE, 3, 0);
  ExpectDenied(FromPod(kOther, Tcp6("fe80::1", kDbIp6, 5432)), SL_HOOK_TC_FROM_POD, SL_DROP_SPOOFED_SOURCE, 3, 0);
  ExpectDenied(FromWire(Tcp4(kOtherIp, kWebIp, 80)), SL_HOOK_XDP_UPLINK, SL_DROP_SPOOFED_SOURCE, 0, 0);
  ExpectDenied(FromWire(Tcp4(kNodeIp, kWebIp, 80)), SL_HOOK_XDP_UPLINK, SL_DROP_SPOOFED_SOURCE, 0, 0);
}

// The interface decides, not the claimed address. An entry counts for one sender only.
TEST_F(DropReasons, SpoofedSourceIsRecordedForTheWorkloadThatSent) {
  FromPod(kOther, Tcp4("8.8.8.8", kDbIp, 5432));
  auto flows = Flows();
  ASSERT_EQ(flows.size(), 1u);
  EXPECT_EQ(flows[0].entry.initiator.endpoint, 3u);
  EXPECT_EQ(flows[0].entry.initiator.ifindex, ifindex(kOther));
  EXPECT_EQ(flows[0].entry.owner, 3u) << "it pays for the record";
  FromPod(kWeb, Tcp4("8.8.8.8", kDbIp, 5432));
  flows = Flows();
  ASSERT_EQ(flows.size(), 1u) << "the newer one takes the place";
  EXPECT_EQ(flows[0].entry.initiator.endpoint, 1u);
  EXPECT_EQ(flows[0].entry.forward_packets, 1u);
}

TEST_F(DropReasons, SpoofedPacketOfAFlowOfTheNode) {
  ASSERT_TRUE(ToPod(kDb, kNode, Tcp4(kNodeIp, kDbIp, 22)).forwarded);
  EXPECT_EQ(FromWire(Tcp4(kNodeIp, kDbIp, 22, kAck)).reason, SL_DROP_SPOOFED_SOURCE);
}

TEST_F(DropReasons, UnknownEndpoint) {
  ExpectDenied(FromPod(kNobody, Tcp4("10.9.9.9", kDbIp, 5432)), SL_HOOK_TC_FROM_POD, SL_DROP_UNKNOWN_ENDPOINT, 0, 0);
  ExpectDenied(ToPod(kNobody, kElsewhere, Tcp4(kRemoteIp, "10.9.9.9", 80)), SL_HOOK_TC_TO_POD, SL_DROP_UNKNOWN_ENDPOINT,
               0, 0);
  ExpectDenied(ToPod(kNobody, kNode, Tcp4(kNodeIp, "10.9.9.9", 80)), SL_HOOK_TC_TO_POD, SL_DROP_UNKNOWN_ENDPOINT, 0, 0);
}

// Attached, but its workload is not in force yet.
TEST_F(DropReasons, AnInterfaceWithoutItsWorkloadIsUnknownToo) {
  sl_interface facts{};
  facts.address = policy::Address::Parse("10.9.9.9")->abi();
  ASSERT_TRUE(fixture_->datapath().DescribeInterface(ifindex(4), facts).ok());
  EXPECT_EQ(FromPod(4, Tcp4("10.9.9.9", kDbIp, 5432)).reason, SL_DROP_UNKNOWN_ENDPOINT);
  EXPECT_EQ(ToPod(4, kElsewhere, Tcp4(kRemoteIp, "10.9.9.9", 80)).reason, SL_DROP_UNKNOWN_ENDPOINT);
}

TEST_F(DropReasons, MalformedEthernet) {
  const Eth tagged{.type = 0x8100};
  ExpectNotEvaluated(SL_DROP_MALFORMED_ETHERNET, tagged / Raw{{0, 1}}, kForNobodyHere);
  ExpectNotEvaluated(SL_DROP_MALFORMED_ETHERNET, Eth{.type = 0x88a8} / Raw{{0, 1, 0x81, 0, 0, 1}}, kForNobodyHere);
}

TEST_F(DropReasons, MalformedIpv4) {
  const auto with = [](std::size_t offset, std::uint8_t value) {
    Frame frame = Tcp4(kWebIp, kDbIp, 5432).ToFrame();
    frame[offset] = value;
    return Packet(Raw{frame});
  };
  ExpectNotEvaluated(SL_DROP_MALFORMED_IPV4, with(14, 0x55), kForNobodyHere);  // version 5
  ExpectNotEvaluated(SL_DROP_MALFORMED_IPV4, with(14, 0x44));                  // a header of 16 bytes
  ExpectNotEvaluated(SL_DROP_MALFORMED_IPV4, with(17, 19));                    // a total length below the header's
}

TEST_F(DropReasons, MalformedIpv6) {
  Frame frame = Tcp6(kWebIp6, kDbIp6, 5432).ToFrame();
  frame[14] = 0x50;  // version 5
  ExpectNotEvaluated(SL_DROP_MALFORMED_IPV6, Packet(Raw{frame}), kForNobodyHere);
  const Packet cut = Eth{} / Ipv6{.src = kWebIp6, .dst = kDbIp6, .next = 60} / Raw{{6, 0, 1, 4}};
  ExpectNotEvaluated(SL_DROP_MALFORMED_IPV6, cut);
}

TEST_F(DropReasons, MalformedL4) {
  const Ipv4 ip{.src = kWebIp, .dst = kDbIp};
  ExpectNotEvaluated(SL_DROP_MALFORMED_L4, Eth{} / ip / Tcp{.dport = 5432, .words = 4});
  for (const int protocol : {6, 17, 132, 1}) {
    Ipv4 cut = ip;
    cut.protocol = static_cast<std::uint8_t>(protocol);
    ExpectNotEvaluated(SL_DROP_MALFORMED_L4, Eth{} / cut / Payload{7});
  }
}

TEST_F(DropReasons, TooManyHeaders) {
  ExpectNotEvaluated(SL_DROP_TOO_MANY_HEADERS,
                     Eth{} / Vlan{} / Vlan{} / Vlan{} / Ipv4{.src = kWebIp, .dst = kDbIp} / Tcp{.dport = 5432},
                     kForNobodyHere);
  Packet chain = Eth{} / Ipv6{.src = kWebIp6, .dst = kDbIp6};
  for (int i = 0; i < 9; ++i) chain = chain / Ipv6Option{.header = 60};
  ExpectNotEvaluated(SL_DROP_TOO_MANY_HEADERS, chain / Tcp{.dport = 5432});
}

TEST_F(DropReasons, UnsupportedL3AtAPodAndNotOnTheCard) {
  const Packet lldp = Eth{.type = 0x88cc} / Payload{60};
  const std::uint64_t bytes = lldp.ToFrame().size();
  EXPECT_EQ(FromPod(kWeb, lldp).moves, Moves().Packet(SL_HOOK_TC_FROM_POD, SL_DROP_UNSUPPORTED_L3, bytes));
  EXPECT_EQ(ToPod(kDb, kElsewhere, lldp).moves, Moves().Packet(SL_HOOK_TC_TO_POD, SL_DROP_UNSUPPORTED_L3, bytes));
  EXPECT_EQ(FromWire(lldp).moves, Moves().Packet(SL_HOOK_XDP_UPLINK, SL_DROP_NONE, bytes));
}

TEST_F(DropReasons, FragmentNotFound) {
  ExpectNotEvaluated(
      SL_DROP_FRAGMENT_NOT_FOUND,
      Eth{} / Ipv4{.src = kWebIp, .dst = kDbIp, .protocol = 6, .id = 9, .fragment_offset = 4} / Payload{64});
  ExpectNotEvaluated(SL_DROP_FRAGMENT_NOT_FOUND, Eth{} / Ipv6{.src = kWebIp6, .dst = kDbIp6} /
                                                     Ipv6Fragment{.id = 9, .offset = 4, .more = false, .next = 6} /
                                                     Payload{64});
}

// The uplink also carries traffic of the host.
TEST_F(DropReasons, WhatIsForNoLocalWorkloadPassesTheCardAsItIs) {
  Ipv4 fragment{.src = kRemoteIp, .dst = "10.5.5.5", .protocol = 6, .id = 9, .fragment_offset = 4};
  const std::vector<Packet> all = {
      Eth{} / fragment / Payload{64},
      Eth{} / Ipv6{.src = kRemoteIp6, .dst = "fd05::5"} / Ipv6Fragment{.id = 9, .offset = 4, .next = 6} / Payload{64},
      Eth{} / Ipv4{.src = kRemoteIp, .dst = "10.5.5.5", .protocol = 6} / Payload{7},
      Eth{} / Ipv4{.src = kRemoteIp, .dst = kNodeIp, .protocol = 1} / Payload{4},
      Eth{} / Ipv6{.src = kRemoteIp6, .dst = "ff02::1", .next = 60} / Raw{{6, 0, 1, 4}},
  };
  for (const Packet& packet : all) {
    const Evaluated evaluated = FromWire(packet);
    EXPECT_TRUE(evaluated.forwarded);
    EXPECT_EQ(evaluated.moves, Moves().Packet(SL_HOOK_XDP_UPLINK, SL_DROP_NONE, evaluated.bytes));
  }
  fragment.dst = kDbIp;
  EXPECT_EQ(FromWire(Eth{} / fragment / Payload{64}).reason, SL_DROP_FRAGMENT_NOT_FOUND);
  EXPECT_EQ(FromWire(Eth{} / Ipv4{.src = kRemoteIp, .dst = kDbIp, .protocol = 6} / Payload{7}).reason,
            SL_DROP_MALFORMED_L4);
}

// A flooded frame, or one attracted by the pod's neighbour: its flow does not change.
TEST_F(DropReasons, WrongReceiver) {
  ASSERT_TRUE(FromPod(kWeb, ToDb(kSyn)).forwarded);
  const Evaluated flooded = ToPod(kOther, kWeb, ToDb(kSyn));
  EXPECT_EQ(flooded.moves, Moves().Packet(SL_HOOK_TC_TO_POD, SL_DROP_WRONG_RECEIVER, flooded.bytes));
  EXPECT_TRUE(ToPod(kDb, kWeb, ToDb(kSyn)).forwarded);
  EXPECT_TRUE(FromPod(kDb, ToWeb(kSyn | kAck)).forwarded) << "its answer";
  EXPECT_EQ(ToPod(kOther, kDb, ToWeb(kAck)).reason, SL_DROP_WRONG_RECEIVER);
  EXPECT_EQ(ToPod(kOther, kElsewhere, Tcp4("8.8.8.8", kRemoteIp, 80)).reason, SL_DROP_WRONG_RECEIVER)
      << "of another node";
  EXPECT_EQ(ToPod(kOther, kNode, Tcp4(kNodeIp, kDbIp, 80)).reason, SL_DROP_WRONG_RECEIVER) << "the node's own";
  EXPECT_TRUE(ToPod(kOther, kElsewhere, Tcp4("8.8.8.8", "10.7.7.7", 80)).forwarded) << "of nobody: other's own, then";
  EXPECT_TRUE(ToPod(kOther, kWeb, Eth{} / Ipv4{.src = kWebIp, .dst = "10.0.0.255"} / Udp{}).forwarded);
}

// Where XDP is not attached, a packet with a foreign source can reach the pod.
TEST_F(DropReasons, ALocalSourceComesByItsOwnInterface) {
  EXPECT_TRUE(ToPod(kDb, kWeb, Tcp4(kWebIp, kDbIp, 5432)).forwarded);
  EXPECT_EQ(ToPod(kDb, kUplink, Tcp4(kWebIp, kDbIp, 5432, kAck)).reason, SL_DROP_SPOOFED_SOURCE) << "of a known flow";
  EXPECT_TRUE(ToPod(kDb, kWeb, Tcp4(kWebIp, kDbIp, 5432, kAck)).forwarded) << "which goes on";
  ASSERT_TRUE(fixture_->ForgetFlows().ok());
  ExpectDenied(ToPod(kDb, kUplink, Tcp4(kWebIp, kDbIp, 5432)), SL_HOOK_TC_TO_POD, SL_DROP_SPOOFED_SOURCE, 0, 0);
  ExpectDenied(ToPod(kDb, kOther, Tcp6(kWebIp6, kDbIp6, 5432)), SL_HOOK_TC_TO_POD, SL_DROP_SPOOFED_SOURCE, 0, 0);
  // The same for an ICMP error about one of its flows.
  ASSERT_TRUE(FromPod(kWeb, ToDb(kSyn)).forwarded);
  const Packet error =
      Eth{} / Ipv4{.src = kWebIp, .dst = kDbIp} / Icmp{.type = 3, .code = 1} / Raw{ToWeb(kAck).ToQuote(28)};
  EXPECT_TRUE(ToPod(kDb, kWeb, error).forwarded);
  EXPECT_EQ(ToPod(kDb, kUplink, error).reason, SL_DROP_SPOOFED_SOURCE);
  // A bridge forwards the frame that its port received.
  sl_interface facts{.master = ifindex(kElsewhere)};
  facts.address = policy::Address::Parse(kWebIp)->abi();
  ASSERT_TRUE(fixture_->datapath().DescribeInterface(ifindex(kWeb), facts).ok());
  EXPECT_TRUE(ToPod(kDb, kElsewhere, Tcp4(kWebIp, kDbIp, 5432, kAck)).forwarded);
  EXPECT_TRUE(ToPod(kDb, kElsewhere, Tcp4(kWebIp, kDbIp, 5432, kSyn, 40001)).forwarded);
}

TEST_F(DropReasons, RulesetMissing) {
  policy::Tables tables = fixture_->compiled().tables;
  tables.peers = {};
  ASSERT_TRUE(fixture_->datapath().Commit(tables).ok());
  ExpectDenied(FromPod(kWeb, Tcp4(kWebIp, kDbIp, 5432)), SL_HOOK_TC_FROM_POD, SL_DROP_RULESET_MISSING, 1, 0);
  ASSERT_TRUE(fixture_->ForgetFlows().ok());
  ExpectDenied(ToPod(kDb, kWeb, Tcp4(kWebIp, kDbIp, 5432)), SL_HOOK_TC_TO_POD, SL_DROP_RULESET_MISSING, 0, 2);
  ExpectDenied(FromWire(Tcp4(kRemoteIp, kDbIp, 5432)), SL_HOOK_XDP_UPLINK, SL_DROP_RULESET_MISSING, 0, 2);
  // A workload that is not isolated needs no ruleset.
  EXPECT_TRUE(FromPod(kDb, Tcp4(kDbIp, kOtherIp, 80)).forwarded);
}

}  // namespace
}  // namespace sluice::test
