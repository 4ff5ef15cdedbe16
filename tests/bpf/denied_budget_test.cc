// More new denied flows than their table can store: all are denied and counted, and existing entries stay.
#include <gtest/gtest.h>

#include "kernel/bpf/testing/test_run.h"
#include "tests/support/sample_cluster.h"

namespace sluice::test {
namespace {

class DeniedBudget : public SampleCluster {
 protected:
  // The kernel keeps the other eighth in reserve on two CPUs.
  static constexpr std::uint32_t kSlots = 2048, kAtOnce = kSlots / 8 * 7;

  static void SetUpTestSuite() {
    options_.object.flows_denied = kSlots;
    options_.object.event_rate = 0;  // the ring itself is tested here
    SampleCluster::SetUpTestSuite();
  }

  void SetUp() override {
    SampleCluster::SetUp();
    Enforce(DbPolicy());
  }

  // Flow `number` of the flood.
  static Packet Flood(std::uint32_t number) {
    return Eth{} / Ipv4{.src = kOtherIp, .dst = kDbIp} /
           Udp{.sport = static_cast<std::uint16_t>(10000 + number), .dport = 7};
  }
  // A flow outside the flood.
  static Packet Other() { return Eth{} / Ipv4{.src = kWebIp, .dst = kDbIp} / Udp{.sport = 40000, .dport = 53}; }

  // The first packets of this many more flows.
  void SendFlood(std::uint32_t flows) {
    for (const std::uint32_t end = next_ + flows; next_ < end; ++next_) {
      const auto verdict = fixture_->FromPod(ifindex(kOther), Flood(next_).ToFrame());
      ASSERT_TRUE(verdict.ok()) << verdict.status();
      ASSERT_FALSE(verdict->forwarded) << "flow " << next_;
      ASSERT_EQ(verdict->reason, SL_DROP_POLICY_DENIED) << "flow " << next_;
    }
  }
  std::vector<datapath::FlowRecord> Denied() {
    auto flows = Flows();
    std::erase_if(flows, [](const auto& flow) { return flow.state != datapath::FlowState::kDenied; });
    return flows;
  }
  static std::uint64_t Unrecorded() {
    const auto counters = fixture_->datapath().ReadCounters();
    EXPECT_TRUE(counters.ok()) << counters.status();
    return counters.ok() ? counters->events[SL_COUNTER_DENIED_UNRECORDED] : 0;
  }
  static Moves Dropped(const Evaluated& evaluated) {
    return Moves()
        .Packet(SL_HOOK_TC_FROM_POD, SL_DROP_POLICY_DENIED, evaluated.bytes)
        .Egress(3, SL_DROP_POLICY_DENIED, evaluated.bytes);
  }

  std::uint32_t next_ = 0;  // of the flood's flows
};

TEST_F(DeniedBudget, SevenEighthsOfTheTableAtOnceAndTheRestIsCounted) {
  const std::uint64_t before = Unrecorded();
  SendFlood(kAtOnce);
  EXPECT_EQ(Denied().size(), kAtOnce);
  EXPECT_EQ(Unrecorded(), before);
  SendFlood(2 * kSlots);
  EXPECT_EQ(Denied().size(), kAtOnce);
  EXPECT_EQ(Unrecorded(), before + 2 * kSlots);
}

TEST_F(DeniedBudget, WithoutARecordAPacketMovesItsCountersOnly) {
  SendFlood(kAtOnce);
  for (int i = 0; i < 2; ++i) {  // the first packet left no entry
    const Evaluated evaluated = FromPod(kOther, Flood(next_));
    EXPECT_EQ(evaluated.reason, SL_DROP_POLICY_DENIED);
    EXPECT_EQ(evaluated.moves, Dropped(evaluated).Count(SL_COUNTER_DENIED_UNRECORDED));
  }
  const Evaluated wire = FromWire(Eth{} / Ipv4{.src = kRemoteIp, .dst = kDbIp} / Udp{.sport = 1, .dport = 7});
  EXPECT_EQ(wire.reason, SL_DROP_POLICY_DENIED);
  EXPECT_EQ(wire.moves, Moves()
                            .Packet(SL_HOOK_XDP_UPLINK, SL_DROP_POLICY_DENIED, wire.bytes)
                            .Ingress(2, SL_DROP_POLICY_DENIED, wire.bytes)
                            .Count(SL_COUNTER_DENIED_UNRECORDED));
}

// What comes from the wire in a flood takes a shorter way (bpf/lib/verdict_unrecorded.bpf.h) to the same verdict.
TEST_F(DeniedBudget, AFloodChangesNoVerdictOfAPacketFromTheWire) {
  const auto udp = [](const char* src, const char* dst, std::uint16_t sport, std::uint16_t dport) {
    return Eth{} / Ipv4{.src = src, .dst = dst} / Udp{.sport = sport, .dport = dport};
  };
  const Packet packets[] = {
      // Each is of another flow.
      udp(kRemoteIp, kDbIp, 1, 7),
      udp(kRemoteIp, kDbIp, 53, 40000),  // may be an answer
      udp(kRemoteIp, kWebIp, 1, 7),      // no policy selects web
      udp(kRemoteIp, "10.0.0.77", 1, 7),
      udp(kNodeIp, kDbIp, 1, 7),
      udp(kWebIp, kDbIp, 1, 7),
      Tcp4(kRemoteIp, kDbIp, 5432, kSyn, 40001),
      Tcp4(kRemoteIp, kDbIp, 5432, kSyn | kAck, 40002),
      Tcp4(kRemoteIp, kDbIp, 5432, kAck, 40003),
      Tcp4(kRemoteIp, kDbIp, 40000, kAck, 5432),  // in midstream, from a server's port
      Tcp4(kRemoteIp, kDbIp, 50000, kAck, 40000),
      Tcp6(kRemoteIp6, kDbIp6, 5432, kSyn),
      Eth{} / Ipv4{.src = kRemoteIp, .dst = kDbIp} / Icmp{.type = 8},
      Eth{} / Ipv4{.src = kRemoteIp, .dst = kDbIp} / Tcp{.sport = 40004, .dport = 5432} / Payload{30},
  };
  const auto reasons = [&](bool flood, bool quarantine) {
    SampleCluster::SetUp();
    if (flood) SendFlood(kSlots);
    EXPECT_TRUE(fixture_->datapath().SetQuarantine(2, quarantine).ok());
    std::vector<int> all;
    for (const Packet& packet : packets) all.push_back(FromWire(packet).reason);
    EXPECT_TRUE(fixture_->datapath().SetQuarantine(2, false).ok());
    return all;
  };
  for (const bool quarantine : {false, true}) {
    const std::vector<int> before = reasons(false, quarantine);
    EXPECT_EQ(reasons(true, quarantine), before) << "quarantine " << quarantine;
    EXPECT_EQ(before[0], quarantine ? SL_DROP_QUARANTINED : SL_DROP_POLICY_DENIED);
    EXPECT_EQ(before[2], SL_DROP_NONE);
    EXPECT_EQ(before[4], SL_DROP_SPOOFED_SOURCE);
  }
}

// In a flood the packet path remembers what the prefixes said of a source (bpf/lib/prefix_cache.bpf.h).
TEST_F(DeniedBudget, WhatThePrefixesSaidIsForgottenWithTheirGeneration) {
  const std::string open = Policy("db", "db",
                                  "  policyTypes: [Ingress]\n"
                                  "  ingress: [{from: [{ipBlock: {cidr: 192.0.2.0/25}}]}]\n");
  std::uint16_t port = 1;
  const auto reasons = [&] {
    std::vector<int> all;
    for (int i = 0; i < 2; ++i) {  // the second packet meets what the first one found
      for (const char* const source : {"192.0.2.1", "192.0.2.200", "198.51.100.1"})
        all.push_back(FromWire(Eth{} / Ipv4{.src = source, .dst = kDbIp} / Udp{.sport = ++port, .dport = 7}).reason);
    }
    return all;
  };
  constexpr int kNo = SL_DROP_POLICY_DENIED, kYes = SL_DROP_NONE;
  SendFlood(kSlots);
  Enforce(DbPolicy());
  EXPECT_EQ(reasons(), std::vector<int>({kNo, kNo, kNo, kNo, kNo, kNo}));
  Enforce(open);
  EXPECT_EQ(reasons(), std::vector<int>({kYes, kNo, kNo, kYes, kNo, kNo}));
  Enforce(DbPolicy());
  EXPECT_EQ(reasons(), std::vector<int>({kNo, kNo, kNo, kNo, kNo, kNo}));
  Enforce(open);
  EXPECT_EQ(reasons(), std::vector<int>({kYes, kNo, kNo, kYes, kNo, kNo}));
}

TEST_F(DeniedBudget, AFloodThrowsNobodysRecordOut) {
  ASSERT_FALSE(FromPod(kWeb, Other()).forwarded);
  SendFlood(3 * kSlots);
  const Evaluated again = FromPod(kWeb, Other());
  EXPECT_EQ(again.moves, Moves()
                             .Packet(SL_HOOK_TC_FROM_POD, SL_DROP_POLICY_DENIED, again.bytes)
                             .Egress(1, SL_DROP_POLICY_DENIED, again.bytes)
                             .Changed("denied"));
  const auto first = FromPod(kOther, Flood(0));
  EXPECT_EQ(first.moves, Dropped(first).Changed("denied")) << "the flood's own first";
}

TEST_F(DeniedBudget, AllowedFlowsGoOn) {
  ASSERT_TRUE(FromPod(kWeb, ToDb(kSyn)).forwarded);
  ASSERT_TRUE(FromPod(kDb, ToWeb(kSyn | kAck)).forwarded);
  SendFlood(kSlots);
  EXPECT_TRUE(FromPod(kWeb, ToDb(kAck)).forwarded);
  EXPECT_TRUE(FromPod(kDb, ToWeb(kAck)).forwarded);
  EXPECT_TRUE(FromPod(kWeb, Tcp4(kWebIp, kDbIp, 5432, kSyn, 40001)).forwarded) << "a new one too";
}

TEST_F(DeniedBudget, TimeFillsAnEighthOfTheTableInThirtySeconds) {
  SendFlood(kSlots);
  fixture_->SetClock(1000 + 15);
  std::uint64_t before = Unrecorded();
  SendFlood(kSlots);
  EXPECT_EQ(Unrecorded(), before + kSlots - kSlots / 16);
  // After any time, it gives no more tokens than at the start.
  fixture_->SetClock(1000 + 7200);
  before = Unrecorded();
  SendFlood(kAtOnce);
  EXPECT_EQ(Unrecorded(), before);
  SendFlood(1);
  EXPECT_EQ(Unrecorded(), before + 1);
}

TEST_F(DeniedBudget, WhatTheAgentTakesAwayMakesRoom) {
  SendFlood(kSlots);
  auto records = Denied();
  ASSERT_EQ(records.size(), kAtOnce);
  records.resize(100);
  ASSERT_TRUE(fixture_->datapath().ForgetFlows(records).ok());
  ASSERT_TRUE(fixture_->datapath().ForgetFlows(records).ok()) << "they are gone, and paid back once";
  const std::uint64_t before = Unrecorded();
  SendFlood(kSlots);
  EXPECT_EQ(Unrecorded(), before + kSlots - 100);
}

TEST_F(DeniedBudget, WhoHasAPlaceIsRecordedAnew) {
  SendFlood(kSlots);
  Enforce(DbPolicy() + Isolate("web"));
  const Evaluated evaluated = FromPod(kOther, Flood(0));
  EXPECT_EQ(evaluated.reason, SL_DROP_POLICY_DENIED);
  EXPECT_EQ(evaluated.moves, Dropped(evaluated).Changed("denied").Event(SL_FLOW_END));
}

TEST_F(DeniedBudget, WhoWatchesSeesAnEventForEachPacket) {
  SendFlood(kSlots);
  Configure(SL_SETTING_EVENTS);
  for (int i = 0; i < 2; ++i) {
    const Evaluated evaluated = FromPod(kOther, Flood(next_));
    EXPECT_EQ(evaluated.moves, Dropped(evaluated).Count(SL_COUNTER_DENIED_UNRECORDED).Event(SL_FLOW_NEW));
    ASSERT_EQ(evaluated.events.size(), 1u);
    EXPECT_EQ(evaluated.events[0].entry.reason, SL_DROP_POLICY_DENIED);
    EXPECT_EQ(evaluated.events[0].entry.forward_packets, 1u);
  }
}

// The ring wraps several times; no event is lost, none is read twice, and each is complete.
TEST_F(DeniedBudget, EventsGoRoundTheRing) {
  constexpr std::uint32_t kAtOnceInTheRing = 12000;  // of about 18,000
  SendFlood(kSlots);
  Configure(SL_SETTING_EVENTS);
  const bpf::TestRunInput run{.frame = Flood(next_).ToFrame(), .ifindex = ifindex(kOther), .repeat = kAtOnceInTheRing};
  for (int round = 0; round < 5; ++round) {
    ASSERT_TRUE(bpf::TestRunTc(fixture_->datapath().object().program_fd("tc_from_pod"), run).ok());
    std::uint32_t whole = 0;
    std::uint64_t last_ns = 0;
    const auto count = fixture_->datapath().PollEvents([&](const sl_flow_event& event) {
      whole += event.type == SL_FLOW_NEW && event.time_ns >= last_ns && event.entry.forward_packets == 1 &&
               event.entry.reason == SL_DROP_POLICY_DENIED && event.entry.initiator.endpoint == 3;
      last_ns = event.time_ns;
    });
    ASSERT_TRUE(count.ok()) << count.status();
    EXPECT_EQ(*count, static_cast<int>(kAtOnceInTheRing)) << "round " << round;
    EXPECT_EQ(whole, kAtOnceInTheRing) << "round " << round;
    EXPECT_EQ(*fixture_->datapath().PollEvents([](const sl_flow_event&) {}), 0);
  }
}

}  // namespace
}  // namespace sluice::test
