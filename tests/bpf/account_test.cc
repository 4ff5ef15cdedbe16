// Counters that a forwarded packet changes: hook, workload and flow counters, by packets and by bytes.
#include <gtest/gtest.h>

#include "tests/support/sample_cluster.h"

namespace sluice::test {
namespace {

class Account : public SampleCluster {};

// A mode: Audit policy that would deny all ingress of db.
std::string AuditDb() {
  return "apiVersion: sluice.dev/v1alpha1\nkind: NetworkPolicy\nmetadata: {name: audit, namespace: shop}\n"
         "spec:\n  podSelector: {matchLabels: {app: db}}\n  policyTypes: [Ingress]\n  mode: Audit\n---\n";
}

TEST_F(Account, FirstPacketAtEachHook) {
  const Evaluated sent = FromPod(kWeb, ToDb(kSyn));
  EXPECT_TRUE(sent.forwarded);
  EXPECT_EQ(sent.moves, Moves()
                            .Packet(SL_HOOK_TC_FROM_POD, SL_DROP_NONE, sent.bytes)
                            .Egress(1, SL_DROP_NONE, sent.bytes)
                            .Count(SL_COUNTER_FLOW_NEW)
                            .Added("pending"));
  // The same packet at the other end is counted there, but not again in the flow, which records that it arrived
  // unchanged.
  const Evaluated received = ToPod(kDb, kWeb, ToDb(kSyn));
  EXPECT_TRUE(received.forwarded);
  EXPECT_EQ(received.moves, Moves()
                                .Packet(SL_HOOK_TC_TO_POD, SL_DROP_NONE, received.bytes)
                                .Ingress(2, SL_DROP_NONE, received.bytes)
                                .Changed("pending"));
}

TEST_F(Account, FirstPacketFromTheWire) {
  const Evaluated passed = FromWire(Tcp6(kRemoteIp6, kWebIp6, 80));
  EXPECT_TRUE(passed.forwarded);
  // The workload's counter changes only at tc_to_pod, which the packet still passes.
  EXPECT_EQ(passed.moves,
            Moves().Packet(SL_HOOK_XDP_UPLINK, SL_DROP_NONE, passed.bytes).Count(SL_COUNTER_FLOW_NEW).Added("pending"));
}

TEST_F(Account, StrangersOnTheWireLeaveNothing) {
  const Evaluated passed = FromWire(Tcp4(kRemoteIp, "10.5.5.5", 80));
  EXPECT_TRUE(passed.forwarded);
  EXPECT_EQ(passed.moves, Moves().Packet(SL_HOOK_XDP_UPLINK, SL_DROP_NONE, passed.bytes));
}

TEST_F(Account, LinkControlLeavesNoFlow) {
  const Packet arp =
      Eth{.type = 0x0806} / Raw{{0, 1, 8, 0, 6, 4, 0, 1, 2, 0, 0, 0, 0, 1, 10, 0, 0, 1, 0, 0, 0, 0, 0, 0, 10, 0, 0, 9}};
  const Packet solicitation = Eth{} / Ipv6{.src = kWebIp6, .dst = "ff02::1:ff00:9", .hop_limit = 255} /
                              Icmp{.type = 135} / Raw{{0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9}};
  for (const Packet& packet : {arp, solicitation}) {
    const std::uint64_t bytes = packet.ToFrame().size();
    EXPECT_EQ(FromPod(kWeb, packet).moves,
              Moves().Packet(SL_HOOK_TC_FROM_POD, SL_DROP_NONE, bytes).Egress(1, SL_DROP_NONE, bytes));
    EXPECT_EQ(ToPod(kDb, kWeb, packet).moves,
              Moves().Packet(SL_HOOK_TC_TO_POD, SL_DROP_NONE, bytes).Ingress(2, SL_DROP_NONE, bytes));
    EXPECT_EQ(FromWire(packet).moves, Moves().Packet(SL_HOOK_XDP_UPLINK, SL_DROP_NONE, bytes));
  }
}

TEST_F(Account, AuditedPacketPassesAndSaysSo) {
  Enforce(AuditDb());
  const Evaluated sent = FromPod(kOther, Tcp4(kOtherIp, kDbIp, 80));
  EXPECT_TRUE(sent.forwarded);
  EXPECT_TRUE(sent.audited);
  EXPECT_EQ(sent.moves, Moves()
                            .Packet(SL_HOOK_TC_FROM_POD, SL_OUTCOME_AUDITED, sent.bytes)
                            .Egress(3, SL_OUTCOME_AUDITED, sent.bytes)
                            .Count(SL_COUNTER_FLOW_NEW)
                            .Added("pending"));
  const Evaluated reply = FromPod(kDb, Tcp4(kDbIp, kOtherIp, 40000, kSyn | kAck, 80));
  EXPECT_TRUE(reply.audited) << "the whole flow is under audit";
  const auto flows = Flows();
  ASSERT_EQ(flows.size(), 1u);
  EXPECT_TRUE(flows[0].entry.flags & SL_CT_AUDIT);
}

TEST_F(Account, EnforcedDenialBesideAnAuditIsNoAudit) {
  Enforce(AuditDb() + DbPolicy());
  const Evaluated sent = FromPod(kOther, Tcp4(kOtherIp, kDbIp, 80));
  EXPECT_EQ(sent.reason, SL_DROP_POLICY_DENIED);
  EXPECT_FALSE(sent.audited);
}

TEST_F(Account, AGsoPacketCountsAsItsSegmentsDoOnTheWire) {
  const Packet data = ToDb(kAck) / Payload{3000};
  const Evaluated sent = FromPod(kWeb, data.ToFrame(), 3);
  constexpr std::uint64_t kHeaders = 14 + 20 + 20;
  const std::uint64_t wire = 3 * kHeaders + 3000;
  EXPECT_EQ(sent.moves, Moves()
                            .Packet(SL_HOOK_TC_FROM_POD, SL_DROP_NONE, wire, 3)
                            .Egress(1, SL_DROP_NONE, wire, 3)
                            .Count(SL_COUNTER_FLOW_NEW)
                            .Added("pending"));
  const auto flows = Flows();
  ASSERT_EQ(flows.size(), 1u);
  EXPECT_EQ(flows[0].entry.forward_packets, 3u);
  EXPECT_EQ(flows[0].entry.forward_bytes, wire - 3 * 14);
}

TEST_F(Account, TheNodeReachesAnIsolatedPod) {
  const Evaluated probe = ToPod(kDb, kNode, Tcp4(kNodeIp, kDbIp, 9999));
  EXPECT_TRUE(probe.forwarded);
  EXPECT_EQ(probe.moves, Moves()
                             .Packet(SL_HOOK_TC_TO_POD, SL_DROP_NONE, probe.bytes)
                             .Ingress(2, SL_DROP_NONE, probe.bytes)
                             .Count(SL_COUNTER_FLOW_NEW)
                             .Added("pending"));
  EXPECT_TRUE(FromPod(kDb, Tcp4(kDbIp, kNodeIp, 40000, kSyn | kAck, 9999)).forwarded);
  EXPECT_TRUE(ToPod(kDb, kNode, Tcp4(kNodeIp, kDbIp, 9999, kAck)).forwarded);
  const auto flows = Flows();
  ASSERT_EQ(flows.size(), 1u);
  EXPECT_TRUE(flows[0].entry.flags & SL_CT_FROM_NODE);
  EXPECT_EQ(flows[0].state, datapath::FlowState::kEstablished);
}

TEST_F(Account, MulticastAndBroadcastAreForWhoIsBehindTheInterface) {
  const auto query = [](const char* src, const char* dst) {
    return Eth{.dst = "01:00:5e:00:00:fb"} / Ipv4{.src = src, .dst = dst} / Udp{.sport = 5353, .dport = 5353} /
           Payload{8};
  };
  for (const char* group : {"224.0.0.251", "255.255.255.255"}) {
    const Evaluated sent = FromPod(kOther, query(kOtherIp, group));
    EXPECT_TRUE(sent.forwarded);
    EXPECT_EQ(sent.moves, Moves()
                              .Packet(SL_HOOK_TC_FROM_POD, SL_DROP_NONE, sent.bytes)
                              .Egress(3, SL_DROP_NONE, sent.bytes)
                              .Count(SL_COUNTER_FLOW_NEW)
                              .Added("pending"));
    const Evaluated open = ToPod(kWeb, kOther, query(kOtherIp, group));
    EXPECT_TRUE(open.forwarded) << "web is not isolated";
    EXPECT_EQ(open.moves, Moves()
                              .Packet(SL_HOOK_TC_TO_POD, SL_DROP_NONE, open.bytes)
                              .Ingress(1, SL_DROP_NONE, open.bytes)
                              .Count(SL_COUNTER_FLOW_NEW)
                              .Added("pending"));
    const Evaluated closed = ToPod(kDb, kOther, query(kOtherIp, group));
    EXPECT_EQ(closed.reason, SL_DROP_POLICY_DENIED) << "db is isolated";
    EXPECT_EQ(closed.moves, Moves()
                                .Packet(SL_HOOK_TC_TO_POD, SL_DROP_POLICY_DENIED, closed.bytes)
                                .Ingress(2, SL_DROP_POLICY_DENIED, closed.bytes)
                                .Added("denied"));
  }
}

}  // namespace
}  // namespace sluice::test
