// Quarantine at each hook, in both directions, for new and established flows; the allow list; release; a reused number.
#include <gtest/gtest.h>

#include "bpf/abi/quarantine.h"
#include "tests/support/sample_cluster.h"

namespace sluice::test {
namespace {

using datapath::FlowState;

class QuarantineTest : public SampleCluster {
 protected:
  static constexpr std::uint32_t kWebNumber = 1, kDbNumber = 2;

  void SetUp() override {
    SampleCluster::SetUp();
    if (fixture_ != nullptr) Clear();
  }
  void TearDown() override {
    if (fixture_ != nullptr) Clear();
  }
  static void Clear() {
    for (const std::uint32_t number : {1U, 2U, 3U}) Set(number, false);
    Allow({});
  }
  static void Set(std::uint32_t number, bool on = true) {
    ASSERT_TRUE(fixture_->datapath().SetQuarantine(number, on).ok());
  }
  static void Allow(const std::vector<std::string>& prefixes) {
    std::vector<policy::Prefix> peers;
    for (const std::string& text : prefixes) peers.push_back(policy::Prefix::Parse(text).value());
    const Status status = fixture_->datapath().SetQuarantineAllow(peers);
    ASSERT_TRUE(status.ok()) << status;
  }
  static bool IsIn(std::uint32_t number) {
    const auto state = fixture_->datapath().ReadQuarantine();
    EXPECT_TRUE(state.ok()) << state.status();
    return state.ok() && state->endpoints.contains(number);
  }
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
  static Moves Dropped(int hook, std::uint64_t bytes) { return Moves().Packet(hook, SL_DROP_QUARANTINED, bytes); }
};

TEST_F(QuarantineTest, NewFlowsAtEachHookAndBothFamilies) {
  Enforce();  // nothing is isolated
  Set(kDbNumber);
  for (const bool ipv6 : {false, true}) {
    SCOPED_TRACE(ipv6);
    const char* const web = ipv6 ? kWebIp6 : kWebIp;
    const char* const db = ipv6 ? kDbIp6 : kDbIp;
    const char* const remote = ipv6 ? kRemoteIp6 : kRemoteIp;
    const auto tcp = [&](const char* src, const char* dst, std::uint16_t port) {
      return ipv6 ? Tcp6(src, dst, port) : Tcp4(src, dst, port);
    };
    const Evaluated sent = FromPod(kDb, tcp(db, web, 80));
    EXPECT_EQ(
        sent.moves,
        Dropped(SL_HOOK_TC_FROM_POD, sent.bytes).Egress(kDbNumber, SL_DROP_QUARANTINED, sent.bytes).Added("denied"));
    // At the other end's hook, before the packet reaches db's.
    const Evaluated towards = FromPod(kWeb, tcp(web, db, 81));
    EXPECT_EQ(towards.moves, Dropped(SL_HOOK_TC_FROM_POD, towards.bytes)
                                 .Egress(kWebNumber, SL_DROP_QUARANTINED, towards.bytes)
                                 .Added("denied"));
    const Evaluated received = ToPod(kDb, kElsewhere, tcp(remote, db, 82));
    EXPECT_EQ(received.moves, Dropped(SL_HOOK_TC_TO_POD, received.bytes)
                                  .Ingress(kDbNumber, SL_DROP_QUARANTINED, received.bytes)
                                  .Added("denied"));
    const Evaluated wire = FromWire(tcp(remote, db, 83));
    EXPECT_EQ(
        wire.moves,
        Dropped(SL_HOOK_XDP_UPLINK, wire.bytes).Ingress(kDbNumber, SL_DROP_QUARANTINED, wire.bytes).Added("denied"));
    EXPECT_EQ(ToPod(kDb, kNode, tcp(ipv6 ? "fd00::fe" : kNodeIp, db, 84)).reason, SL_DROP_QUARANTINED) << "a probe";
    EXPECT_EQ(FromPod(kDb, tcp(db, db, 85)).reason, SL_DROP_QUARANTINED) << "itself, by way of the node";
    EXPECT_TRUE(FromPod(kWeb, tcp(web, remote, 86)).forwarded) << "web is free";
  }
  for (const auto& flow : Flows()) {
    if (flow.state != FlowState::kDenied) continue;
    EXPECT_EQ(flow.entry.reason, SL_DROP_QUARANTINED);
    EXPECT_EQ(flow.entry.egress_decision, 0u);
    EXPECT_EQ(flow.entry.ingress_decision, 0u);
  }
}

TEST_F(QuarantineTest, AnEstablishedFlowIsCutBothWaysAndGoesOnAfterRelease) {
  Configure(SL_SETTING_EVENTS);
  for (const std::uint32_t number : {kWebNumber, kDbNumber}) {
    SCOPED_TRACE(number);
    ASSERT_TRUE(fixture_->ForgetFlows().ok());
    ASSERT_NO_FATAL_FAILURE(Establish());
    const sl_flow_entry before = TheFlow().entry;
    Set(number);
    const Evaluated forward = FromPod(kWeb, ToDb(kAck));
    EXPECT_EQ(forward.moves, Dropped(SL_HOOK_TC_FROM_POD, forward.bytes)
                                 .Egress(kWebNumber, SL_DROP_QUARANTINED, forward.bytes)
                                 .Changed("established")
                                 .Event(SL_FLOW_UPDATE));
    ASSERT_EQ(forward.events.size(), 1u);
    EXPECT_TRUE(forward.events[0].entry.flags & SL_CT_QUARANTINED);
    const Evaluated backward = FromPod(kDb, ToWeb(kAck));
    EXPECT_EQ(backward.reason, SL_DROP_QUARANTINED);
    EXPECT_TRUE(backward.events.empty()) << "said already";
    EXPECT_EQ(ToPod(kDb, kWeb, ToDb(kAck)).reason, SL_DROP_QUARANTINED) << "on its way since before";
    EXPECT_EQ(ToPod(kWeb, kDb, ToWeb(kAck)).reason, SL_DROP_QUARANTINED);
    const auto cut = TheFlow();
    EXPECT_EQ(cut.state, FlowState::kEstablished);
    EXPECT_EQ(cut.entry.flags, before.flags | SL_CT_QUARANTINED);

    Set(number, false);
    const Evaluated again = FromPod(kDb, ToWeb(kAck));
    EXPECT_TRUE(again.forwarded);
    EXPECT_EQ(again.events.size(), 1u) << "says so";
    EXPECT_TRUE(FromPod(kWeb, ToDb(kAck)).forwarded);
    const sl_flow_entry after = TheFlow().entry;
    EXPECT_EQ(after.flags, before.flags);
    EXPECT_EQ(after.created_ns, before.created_ns);
    EXPECT_EQ(after.forward_packets, before.forward_packets + 1) << "what was dropped is not counted in the flow";
  }
}

TEST_F(QuarantineTest, AnEstablishedFlowFromTheWireIsCut) {
  const Packet in = Tcp6(kRemoteIp6, kWebIp6, 80), out = Tcp6(kWebIp6, kRemoteIp6, 40000, kSyn | kAck, 80);
  ASSERT_TRUE(FromWire(in).forwarded);
  ASSERT_TRUE(FromPod(kWeb, out).forwarded);
  ASSERT_TRUE(FromWire(Tcp6(kRemoteIp6, kWebIp6, 80, kAck)).forwarded);
  Set(kWebNumber);
  const Evaluated cut = FromWire(in);
  EXPECT_EQ(cut.moves, Dropped(SL_HOOK_XDP_UPLINK, cut.bytes)
                           .Ingress(kWebNumber, SL_DROP_QUARANTINED, cut.bytes)
                           .Changed("established"));
  EXPECT_EQ(FromPod(kWeb, out).reason, SL_DROP_QUARANTINED);
  Set(kWebNumber, false);
  EXPECT_TRUE(FromWire(in).forwarded);
}

TEST_F(QuarantineTest, PolicyDecidesAfterRelease) {
  ASSERT_NO_FATAL_FAILURE(Establish());
  Set(kDbNumber);
  EXPECT_EQ(FromPod(kWeb, ToDb(kAck)).reason, SL_DROP_QUARANTINED);
  Enforce(Isolate("db"));
  EXPECT_EQ(FromPod(kWeb, ToDb(kAck)).reason, SL_DROP_QUARANTINED) << "whatever policy says";
  Set(kDbNumber, false);
  EXPECT_EQ(FromPod(kWeb, ToDb(kAck)).reason, SL_DROP_POLICY_DENIED) << "revoked meanwhile";
}

TEST_F(QuarantineTest, AFlowThatAnOlderGenerationAllowedStaysKept) {
  Configure(SL_SETTING_KEEP_ESTABLISHED);
  ASSERT_NO_FATAL_FAILURE(Establish());
  Enforce(Isolate("db"));
  Set(kWebNumber);
  EXPECT_EQ(FromPod(kWeb, ToDb(kAck)).reason, SL_DROP_QUARANTINED);
  Set(kWebNumber, false);
  EXPECT_TRUE(FromPod(kWeb, ToDb(kAck)).forwarded);
}

TEST_F(QuarantineTest, TheAllowListLeavesThePeerToPolicy) {
  Set(kDbNumber);
  Allow({"10.0.0.1/32", "fd00:1::/32"});
  EXPECT_TRUE(FromPod(kWeb, ToDb(kSyn)).forwarded);
  EXPECT_TRUE(FromPod(kDb, ToWeb(kSyn | kAck)).forwarded);
  EXPECT_EQ(FromPod(kWeb, Tcp4(kWebIp, kDbIp, 9)).reason, SL_DROP_POLICY_DENIED) << "policy goes on deciding";
  EXPECT_EQ(FromPod(kOther, Tcp4(kOtherIp, kDbIp, 5432)).reason, SL_DROP_QUARANTINED);
  EXPECT_TRUE(FromPod(kDb, Tcp6(kDbIp6, kRemoteIp6, 443)).forwarded);
  EXPECT_EQ(ToPod(kDb, kNode, Tcp4(kNodeIp, kDbIp, 80)).reason, SL_DROP_QUARANTINED);
  Allow({"10.0.0.254/32"});
  EXPECT_TRUE(ToPod(kDb, kNode, Tcp4(kNodeIp, kDbIp, 80)).forwarded) << "probes are allowed now";
  EXPECT_EQ(FromPod(kWeb, ToDb(kAck)).reason, SL_DROP_QUARANTINED) << "taken off the list";
  const auto state = fixture_->datapath().ReadQuarantine();
  ASSERT_TRUE(state.ok()) << state.status();
  EXPECT_EQ(state->allow, std::vector{policy::Prefix::Parse("10.0.0.254/32").value()});
}

TEST_F(QuarantineTest, BothEndsMustHaveTheOtherOnTheAllowList) {
  Set(kWebNumber);
  Set(kDbNumber);
  Allow({"10.0.0.1/32"});
  EXPECT_EQ(FromPod(kWeb, ToDb(kSyn)).reason, SL_DROP_QUARANTINED) << "web may not talk with db";
  Allow({"10.0.0.0/30"});
  EXPECT_TRUE(FromPod(kWeb, ToDb(kSyn)).forwarded);
}

TEST_F(QuarantineTest, FamiliesOfTheAllowListAreApart) {
  Enforce();
  Set(kDbNumber);
  Allow({"::/0"});
  EXPECT_EQ(FromPod(kDb, Tcp4(kDbIp, kWebIp, 80)).reason, SL_DROP_QUARANTINED);
  EXPECT_TRUE(FromPod(kDb, Tcp6(kDbIp6, kWebIp6, 80)).forwarded);
  Allow({"0.0.0.0/0"});
  EXPECT_TRUE(FromPod(kDb, Tcp4(kDbIp, kWebIp, 81)).forwarded);
  EXPECT_EQ(FromPod(kDb, Tcp6(kDbIp6, kWebIp6, 81)).reason, SL_DROP_QUARANTINED);
}

TEST_F(QuarantineTest, IcmpErrorsAreCutToo) {
  const Packet out = Tcp4(kWebIp, kRemoteIp, 80);
  const Packet error =
      Eth{} / Ipv4{.src = "192.0.2.77", .dst = kWebIp} / Icmp{.type = 3, .code = 4} / Raw{out.ToQuote(28)};
  ASSERT_TRUE(FromPod(kWeb, out).forwarded);
  ASSERT_TRUE(FromWire(error).forwarded);
  Set(kWebNumber);
  const Evaluated wire = FromWire(error);
  EXPECT_EQ(
      wire.moves,
      Dropped(SL_HOOK_XDP_UPLINK, wire.bytes).Ingress(kWebNumber, SL_DROP_QUARANTINED, wire.bytes).Added("denied"));
  EXPECT_EQ(ToPod(kWeb, kUplink, error).reason, SL_DROP_QUARANTINED);
  Set(kWebNumber, false);
  EXPECT_TRUE(ToPod(kWeb, kUplink, error).forwarded);
  // The same for flows that it opens itself.
  ASSERT_TRUE(FromPod(kWeb, ToDb(kSyn)).forwarded);
  const Packet own = Eth{} / Ipv4{.src = kDbIp, .dst = kWebIp} / Icmp{.type = 3} / Raw{ToDb(kSyn).ToQuote(28)};
  ASSERT_TRUE(FromPod(kDb, own).forwarded);
  Set(kDbNumber);
  EXPECT_EQ(FromPod(kDb, own).reason, SL_DROP_QUARANTINED);
}

TEST_F(QuarantineTest, FragmentsAreCutToo) {
  const Ipv4 first{.src = kWebIp, .dst = kDbIp, .protocol = 6, .id = 77, .more_fragments = true};
  Ipv4 later = first;
  later.fragment_offset = 10;
  ASSERT_TRUE(FromPod(kWeb, Eth{} / first / Tcp{.dport = 5432} / Payload{60}).forwarded);
  Set(kWebNumber);
  EXPECT_EQ(FromPod(kWeb, Eth{} / later / Payload{64}).reason, SL_DROP_QUARANTINED);
  const Ipv6 six{.src = kWebIp6, .dst = kDbIp6};
  EXPECT_EQ(
      FromPod(kWeb, Eth{} / six / Ipv6Fragment{.id = 5, .more = true, .next = 6} / Tcp{.dport = 5432} / Payload{60})
          .reason,
      SL_DROP_QUARANTINED);
  EXPECT_EQ(
      FromPod(kWeb, Eth{} / six / Ipv6Fragment{.id = 5, .offset = 10, .more = false, .next = 6} / Payload{64}).reason,
      SL_DROP_QUARANTINED);
}

TEST_F(QuarantineTest, BroadcastIsCutAndLinkControlPasses) {
  Set(kDbNumber);
  const Packet query = Eth{.dst = "01:00:5e:00:00:fb"} / Ipv4{.src = kDbIp, .dst = "224.0.0.251"} /
                       Udp{.sport = 5353, .dport = 5353} / Payload{8};
  EXPECT_EQ(FromPod(kDb, query).reason, SL_DROP_QUARANTINED);
  const Packet to_all = Eth{.dst = "01:00:5e:00:00:fb"} / Ipv4{.src = kOtherIp, .dst = "224.0.0.251"} /
                        Udp{.sport = 5353, .dport = 5353} / Payload{8};
  EXPECT_EQ(ToPod(kDb, kOther, to_all).reason, SL_DROP_QUARANTINED);
  const Packet arp =
      Eth{.type = 0x0806} / Raw{{0, 1, 8, 0, 6, 4, 0, 1, 2, 0, 0, 0, 0, 1, 10, 0, 0, 2, 0, 0, 0, 0, 0, 0, 10, 0, 0, 9}};
  const Packet solicitation = Eth{} / Ipv6{.src = kDbIp6, .dst = "ff02::1:ff00:9", .hop_limit = 255} /
                              Icmp{.type = 135} / Raw{{0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9}};
  for (const Packet& packet : {arp, solicitation}) {
    EXPECT_TRUE(FromPod(kDb, packet).forwarded);
    EXPECT_TRUE(ToPod(kWeb, kDb, packet).forwarded);
  }
}

TEST_F(QuarantineTest, ANumberForAnotherWorkloadStartsFree) {
  Set(kDbNumber);
  Set(kWebNumber);
  ASSERT_TRUE(fixture_->datapath().ResetEndpoint(kDbNumber).ok());
  EXPECT_FALSE(IsIn(kDbNumber));
  EXPECT_TRUE(IsIn(kWebNumber));
  Set(kWebNumber, false);
  EXPECT_TRUE(FromPod(kWeb, ToDb(kSyn)).forwarded);
}

// A kernel program may write any value but 0, without the agent.
TEST_F(QuarantineTest, AnyOtherValueInTheMapCuts) {
  using Quarantine = bpf::Map<__u32, __u32>;
  const auto map = Quarantine::Bind(fixture_->datapath().object().map_fd("quarantine"), "quarantine");
  ASSERT_TRUE(map.ok()) << map.status();
  ASSERT_TRUE(map->Put(kWebNumber, 0x80000000U).ok());
  EXPECT_TRUE(IsIn(kWebNumber));
  EXPECT_EQ(FromPod(kWeb, ToDb(kSyn)).reason, SL_DROP_QUARANTINED);
  Set(kWebNumber, false);
  EXPECT_TRUE(FromPod(kWeb, ToDb(kSyn)).forwarded);
}

TEST_F(QuarantineTest, AFullAllowListIsRefusedAndNamed) {
  std::vector<policy::Prefix> peers;
  for (std::uint32_t i = 0; i <= SL_MAX_QUARANTINE_PEERS; ++i)
    peers.push_back(policy::Prefix::Parse(fmt::format("10.{}.{}.0/24", i / 256, i % 256)).value());
  const Status status = fixture_->datapath().SetQuarantineAllow(peers);
  EXPECT_TRUE(absl::IsResourceExhausted(status)) << status;
  EXPECT_NE(Message(status).find("quarantine_allow"), std::string::npos) << status;
}

}  // namespace
}  // namespace sluice::test
