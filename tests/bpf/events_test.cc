// Flow events. Without a reader: only for records that the packet path itself ends. With one: an event for a new flow,
// then at most one in five seconds, and one at once when its verdict changes. Each workload has its share.
#include <gtest/gtest.h>

#include "tests/support/sample_cluster.h"

namespace sluice::test {
namespace {

class Events : public SampleCluster {
 protected:
  void SetUp() override {
    SampleCluster::SetUp();
    Configure(SL_SETTING_EVENTS);
  }
  static Moves Nothing() { return {}; }
};

TEST_F(Events, NoneWhileNobodyWatches) {
  Configure(0);
  EXPECT_TRUE(FromPod(kWeb, ToDb(kSyn)).events.empty());
  EXPECT_TRUE(FromPod(kOther, Tcp4(kOtherIp, kDbIp, 5432)).events.empty());
  fixture_->SetClock(1006);
  EXPECT_TRUE(FromPod(kDb, ToWeb(kSyn | kAck)).events.empty());
  Enforce(Isolate("db"));
  EXPECT_TRUE(FromPod(kWeb, ToDb(kAck)).events.empty());
}

TEST_F(Events, ANewFlowIsToldWithItsFirstPacket) {
  const Evaluated sent = FromPod(kWeb, ToDb(kSyn));
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
  // The receiving hook of the same packet adds no event.
  EXPECT_TRUE(ToPod(kDb, kWeb, ToDb(kSyn)).events.empty());
}

TEST_F(Events, ADeniedFlowIsToldOnceAndThenEachFiveSeconds) {
  const Packet syn = Tcp4(kOtherIp, kDbIp, 5432);
  const Evaluated first = FromPod(kOther, syn);
  ASSERT_EQ(first.events.size(), 1u);
  EXPECT_EQ(first.events[0].type, SL_FLOW_NEW);
  EXPECT_EQ(first.events[0].entry.reason, SL_DROP_POLICY_DENIED);
  EXPECT_NE(first.events[0].entry.ingress_decision, 0u);
  fixture_->SetClock(1004);
  EXPECT_TRUE(FromPod(kOther, syn).events.empty());
  fixture_->SetClock(1005);
  const Evaluated later = FromPod(kOther, syn);
  ASSERT_EQ(later.events.size(), 1u);
  EXPECT_EQ(later.events[0].type, SL_FLOW_UPDATE);
  EXPECT_EQ(later.events[0].entry.forward_packets, 3u);
}

TEST_F(Events, AFlowThatGoesOnIsToldEachFiveSeconds) {
  FromPod(kWeb, ToDb(kSyn));
  EXPECT_TRUE(FromPod(kDb, ToWeb(kSyn | kAck)).events.empty()) << "an answer alone is no news";
  fixture_->SetClock(1004);
  EXPECT_TRUE(FromPod(kWeb, ToDb(kAck)).events.empty());
  fixture_->SetClock(1005);
  const Evaluated update = FromPod(kDb, ToWeb(kAck));
  EXPECT_EQ(update.moves, Moves()
                              .Packet(SL_HOOK_TC_FROM_POD, SL_DROP_NONE, update.bytes)
                              .Egress(2, SL_DROP_NONE, update.bytes)
                              .Changed("established")
                              .Event(SL_FLOW_UPDATE));
  ASSERT_EQ(update.events.size(), 1u);
  EXPECT_EQ(update.events[0].reply, 1);
  EXPECT_EQ(update.events[0].entry.reply_packets, 2u);
  fixture_->SetClock(1009);
  EXPECT_TRUE(FromPod(kWeb, ToDb(kAck)).events.empty());
  fixture_->SetClock(1010);
  EXPECT_EQ(FromPod(kWeb, ToDb(kAck)).events.size(), 1u);
}

TEST_F(Events, AChangedVerdictIsToldAtOnce) {
  FromPod(kWeb, ToDb(kSyn));
  FromPod(kDb, ToWeb(kSyn | kAck));
  Enforce(Isolate("db"));
  const Evaluated cut = FromPod(kWeb, ToDb(kAck));
  EXPECT_EQ(cut.moves, Moves()
                           .Packet(SL_HOOK_TC_FROM_POD, SL_DROP_POLICY_DENIED, cut.bytes)
                           .Egress(1, SL_DROP_POLICY_DENIED, cut.bytes)
                           .Count(SL_COUNTER_FLOW_REDECIDED)
                           .Count(SL_COUNTER_FLOW_REVOKED)
                           .Removed("pending")
                           .Added("closing")
                           .Event(SL_FLOW_UPDATE));
  ASSERT_EQ(cut.events.size(), 1u);
  EXPECT_EQ(cut.events[0].entry.reason, SL_DROP_POLICY_DENIED);
  EXPECT_TRUE(cut.events[0].entry.flags & SL_CT_REVOKED);
  EXPECT_TRUE(FromPod(kWeb, ToDb(kAck)).events.empty());
  Enforce(DbPolicy());
  const Evaluated healed = FromPod(kWeb, ToDb(kAck));
  ASSERT_EQ(healed.events.size(), 1u);
  EXPECT_EQ(healed.events[0].entry.reason, SL_DROP_NONE);
}

TEST_F(Events, AnUnrelatedGenerationIsNoNews) {
  FromPod(kWeb, ToDb(kSyn));
  Enforce(DbPolicy() + Isolate("other"));
  const Evaluated sent = FromPod(kWeb, ToDb(kSyn));
  EXPECT_EQ(sent.moves, Moves()
                            .Packet(SL_HOOK_TC_FROM_POD, SL_DROP_NONE, sent.bytes)
                            .Egress(1, SL_DROP_NONE, sent.bytes)
                            .Count(SL_COUNTER_FLOW_REDECIDED)
                            .Changed("pending"));
}

// A record that the packet path ends by its own decision is reported, also without a reader.
TEST_F(Events, AFlowThatASynReplacesEnds) {
  for (const std::uint32_t setting : {0U, static_cast<std::uint32_t>(SL_SETTING_EVENTS)}) {
    SCOPED_TRACE(setting);
    ASSERT_TRUE(fixture_->ForgetFlows().ok());
    Configure(setting);
    FromPod(kWeb, ToDb(kSyn));
    FromPod(kDb, ToWeb(kSyn | kAck));
    FromPod(kDb, ToWeb(kRst));
    const sl_flow_entry before = Flows().at(0).entry;
    const Evaluated again = FromPod(kWeb, ToDb(kSyn));
    ASSERT_EQ(again.events.size(), setting != 0 ? 2u : 1u);
    const sl_flow_event& end = again.events[0];
    EXPECT_EQ(end.type, SL_FLOW_END);
    EXPECT_EQ(end.entry.id, before.id);
    EXPECT_EQ(end.entry.forward_packets, 1u);
    EXPECT_EQ(end.entry.reply_packets, 2u);
    EXPECT_EQ(end.time_ns, before.last_seen_ns);
    EXPECT_NE(Flows().at(0).entry.id, before.id);
    if (setting != 0) {
      EXPECT_EQ(again.events[1].type, SL_FLOW_NEW);
      EXPECT_EQ(again.events[1].entry.id, Flows().at(0).entry.id);
    }
  }
}

TEST_F(Events, ARecordOfADeniedFlowThatIsAllowedNowEnds) {
  FromPod(kOther, Tcp4(kOtherIp, kDbIp, 5432));
  FromPod(kOther, Tcp4(kOtherIp, kDbIp, 5432));
  Enforce();
  const Evaluated allowed = FromPod(kOther, Tcp4(kOtherIp, kDbIp, 5432));
  ASSERT_EQ(allowed.events.size(), 2u);
  EXPECT_EQ(allowed.events[0].type, SL_FLOW_END);
  EXPECT_EQ(allowed.events[0].entry.reason, SL_DROP_POLICY_DENIED);
  EXPECT_EQ(allowed.events[0].entry.forward_packets, 2u);
  EXPECT_EQ(allowed.events[1].type, SL_FLOW_NEW);
  EXPECT_NE(allowed.events[1].entry.id, allowed.events[0].entry.id);
}

// ---- another process behind an end ----

const policy::Process kCurlProcess{.binary = "/usr/bin/curl", .script = "", .ancestors = {}, .more_ancestors = false};
const policy::Process kWget{.binary = "/usr/bin/wget", .script = "", .ancestors = {}, .more_ancestors = false};

class EventsByProcess : public Events {
 protected:
  void TearDown() override {
    if (fixture_ != nullptr) Sends({});
  }
  // Sets the sender from now on, when no packets of other processes are in flight.
  static void Sends(const std::optional<policy::Process>& process) {
    ASSERT_TRUE(fixture_->SetProcesses(process, {}).ok());
    ASSERT_TRUE(fixture_->ChangeSockets().ok());
  }
  static Packet Datagram() { return Eth{} / Ipv4{.src = kWebIp, .dst = kOtherIp} / Udp{.sport = 40000, .dport = 7}; }
};

TEST_F(EventsByProcess, AnotherProcessBeginsAnotherRecord) {
  for (const std::uint32_t setting : {static_cast<std::uint32_t>(SL_SETTING_EVENTS), 0U}) {
    SCOPED_TRACE(setting);
    ASSERT_TRUE(fixture_->ForgetFlows().ok());
    Configure(setting);
    Sends(kCurlProcess);
    for (int i = 0; i < 3; ++i) FromPod(kWeb, Datagram());
    const sl_flow_entry first = Flows().at(0).entry;
    fixture_->SetClock(1001);
    Sends(kWget);
    const Evaluated changed = FromPod(kWeb, Datagram());
    ASSERT_EQ(changed.events.size(), setting != 0 ? 2u : 1u);
    const sl_flow_event& end = changed.events[0];
    EXPECT_EQ(end.type, SL_FLOW_END);
    EXPECT_EQ(end.entry.id, first.id);
    EXPECT_EQ(end.entry.initiator_process, first.initiator_process);
    EXPECT_EQ(end.entry.forward_packets, 3u);
    EXPECT_EQ(end.entry.forward_bytes, first.forward_bytes);
    EXPECT_EQ(end.time_ns, 1000 * SL_SECOND_NS);
    const sl_flow_entry second = Flows().at(0).entry;
    EXPECT_NE(second.id, first.id);
    EXPECT_NE(second.initiator_process, first.initiator_process);
    EXPECT_EQ(second.created_ns, 1001 * SL_SECOND_NS);
    EXPECT_EQ(second.forward_packets, 1u);
    if (setting != 0) {
      EXPECT_EQ(changed.events[1].type, SL_FLOW_NEW);
      EXPECT_EQ(changed.events[1].entry.id, second.id);
      EXPECT_EQ(changed.events[1].entry.forward_packets, 1u);
      EXPECT_EQ(changed.events[1].entry.initiator_process, second.initiator_process);
    }
    EXPECT_TRUE(FromPod(kWeb, Datagram()).events.empty()) << "it goes on";
    fixture_->SetClock(1000);
  }
}

TEST_F(EventsByProcess, TheSameProcessGoesOnWithItsRecord) {
  Sends(kCurlProcess);
  FromPod(kWeb, Datagram());
  const std::uint64_t id = Flows().at(0).entry.id;
  Sends(kCurlProcess);  // another socket of the node was acted on
  EXPECT_TRUE(FromPod(kWeb, Datagram()).events.empty());
  EXPECT_EQ(Flows().at(0).entry.id, id);
  EXPECT_EQ(Flows().at(0).entry.forward_packets, 2u);
}

TEST_F(EventsByProcess, AProcessThatWasNotKnownBeginsNone) {
  FromPod(kWeb, Datagram());
  const std::uint64_t id = Flows().at(0).entry.id;
  Sends(kCurlProcess);
  EXPECT_TRUE(FromPod(kWeb, Datagram()).events.empty());
  EXPECT_EQ(Flows().at(0).entry.id, id);
  EXPECT_NE(Flows().at(0).entry.initiator_process, 0u);
}

TEST_F(EventsByProcess, AnswersHaveARecordForEachProcessToo) {
  Sends(kCurlProcess);
  FromPod(kWeb, Datagram());
  const Packet answer = Eth{} / Ipv4{.src = kOtherIp, .dst = kWebIp} / Udp{.sport = 7, .dport = 40000};
  FromPod(kOther, answer);
  const std::uint64_t id = Flows().at(0).entry.id;
  Sends(kWget);
  const Evaluated changed = FromPod(kOther, answer);
  ASSERT_EQ(changed.events.size(), 2u);
  EXPECT_EQ(changed.events[0].type, SL_FLOW_END);
  EXPECT_EQ(changed.events[0].entry.id, id);
  EXPECT_EQ(changed.events[0].entry.reply_packets, 1u);
  EXPECT_EQ(changed.events[0].entry.forward_packets, 1u);
  EXPECT_EQ(changed.events[0].entry.initiator_process, changed.events[1].entry.initiator_process);
  EXPECT_NE(changed.events[0].entry.responder_process, changed.events[1].entry.responder_process);
  EXPECT_EQ(changed.events[1].type, SL_FLOW_NEW);
  EXPECT_EQ(changed.events[1].reply, 1);
  EXPECT_EQ(changed.events[1].entry.reply_packets, 1u);
  EXPECT_EQ(changed.events[1].entry.forward_packets, 0u);
}

TEST_F(EventsByProcess, ADeniedFlowHasARecordForEachProcessToo) {
  Enforce(Isolate("other"));
  Sends(kCurlProcess);
  FromPod(kWeb, Datagram());
  FromPod(kWeb, Datagram());
  Sends(kWget);
  const Evaluated changed = FromPod(kWeb, Datagram());
  ASSERT_EQ(changed.events.size(), 2u);
  EXPECT_EQ(changed.events[0].type, SL_FLOW_END);
  EXPECT_EQ(changed.events[0].entry.forward_packets, 2u);
  EXPECT_EQ(changed.events[1].type, SL_FLOW_NEW);
  EXPECT_EQ(changed.events[1].entry.forward_packets, 1u);
  EXPECT_EQ(changed.events[1].entry.reason, SL_DROP_POLICY_DENIED);
}

// ---- shares ----

class EventShares : public Events {
 protected:
  // Denied packets, all in one tick.
  static void Flood(int interface, const std::string& from, int flows, int first_port = 1) {
    const int fd = fixture_->datapath().object().program_fd("tc_from_pod");
    for (int i = 0; i < flows; ++i) {
      const Frame frame = Tcp4(from, kDbIp, static_cast<std::uint16_t>(first_port + i)).ToFrame();
      ASSERT_TRUE(bpf::TestRunTc(fd, {.frame = frame, .ifindex = fixture_->ifindex(interface)}).ok());
    }
  }
  static std::vector<sl_flow_event> Told() {
    std::vector<sl_flow_event> events;
    EXPECT_TRUE(fixture_->datapath().PollEvents([&](const sl_flow_event& event) { events.push_back(event); }).ok());
    return events;
  }
  static std::uint64_t Lost(std::uint32_t endpoint) {
    const auto lost = fixture_->datapath().ReadLostEvents();
    EXPECT_TRUE(lost.ok()) << lost.status();
    const auto found = lost->find(endpoint);
    return found == lost->end() ? 0 : found->second;
  }
};

TEST_F(EventShares, AFloodOfOneLosesNothingOfAnother) {
  constexpr int kFlows = 3 * SL_EVENT_RATE;
  Flood(kOther, kOtherIp, kFlows);
  for (int i = 0; i < 100; ++i) {
    FromPod(kWeb, Tcp4(kWebIp, kDbIp, static_cast<std::uint16_t>(20000 + i)));
  }
  // FromPod reads the events too, so web's events are in its results.
  EXPECT_EQ(Lost(1), 0u);
  EXPECT_GE(Lost(3), static_cast<std::uint64_t>(kFlows - SL_EVENT_RATE));
}

TEST_F(EventShares, ARingThatIsHalfFullIsForThoseWhoSentLittle) {
  constexpr int kHalf = (2 << 20) / (sizeof(sl_flow_event) + 8);
  for (int second = 0; second * SL_EVENT_RATE < 2 * kHalf; ++second) {
    fixture_->SetClock(1000 + static_cast<std::uint64_t>(second));
    Flood(kOther, kOtherIp, SL_EVENT_RATE);
  }
  EXPECT_GT(Lost(3), 0u);
  Flood(kWeb, kWebIp, SL_EVENT_RESERVE);
  EXPECT_EQ(Lost(1), 0u);
  int of_web = 0, of_other = 0;
  for (const sl_flow_event& event : Told()) {
    of_web += event.entry.initiator.endpoint == 1;
    of_other += event.entry.initiator.endpoint == 3;
  }
  EXPECT_EQ(of_web, SL_EVENT_RESERVE);
  EXPECT_LE(of_other, kHalf + SL_EVENT_RESERVE * 10);
}

TEST_F(EventShares, TimeFillsAShare) {
  Flood(kOther, kOtherIp, 2 * SL_EVENT_RATE);
  EXPECT_EQ(Told().size(), static_cast<std::size_t>(SL_EVENT_RATE));
  fixture_->SetClock(1002);
  Flood(kOther, kOtherIp, 100, 30000);
  EXPECT_EQ(Told().size(), 100u);
}

TEST_F(EventShares, AStrangerThatFloodsOneWorkloadTakesItsShareOfCallsOnly) {
  const int fd = fixture_->datapath().object().program_fd("tc_to_pod");
  for (int i = 0; i < 2 * SL_EVENT_RATE; ++i) {
    const Frame frame = Tcp4(kRemoteIp, kDbIp, static_cast<std::uint16_t>(1 + i)).ToFrame();
    ASSERT_TRUE(
        bpf::TestRunTc(fd, {.frame = frame, .ifindex = ifindex(kDb), .ingress_ifindex = ifindex(kUplink)}).ok());
  }
  EXPECT_GE(Lost(2), static_cast<std::uint64_t>(SL_EVENT_RATE));
  (void)Told();
  EXPECT_EQ(FromPod(kDb, Tcp4(kDbIp, kOtherIp, 80)).events.size(), 1u) << "what db does itself";
  EXPECT_EQ(FromPod(kOther, Tcp4(kOtherIp, kDbIp, 80)).events.size(), 1u) << "what others do";
}

TEST_F(EventShares, WhoSendsUnderAnothersAddressPaysForIt) {
  Flood(kOther, kWebIp, 2 * SL_EVENT_RATE);
  EXPECT_GE(Lost(3), static_cast<std::uint64_t>(SL_EVENT_RATE));
  EXPECT_EQ(Lost(1), 0u);
  (void)Told();
  EXPECT_EQ(FromPod(kWeb, ToDb(kSyn)).events.size(), 1u);
}

TEST_F(EventShares, WhatIsLostIsCounted) {
  constexpr int kFlows = 2 * SL_EVENT_RATE;
  const auto before = fixture_->datapath().ReadEventCounters();
  ASSERT_TRUE(before.ok());
  Flood(kOther, kOtherIp, kFlows);
  const auto after = fixture_->datapath().ReadEventCounters();
  ASSERT_TRUE(after.ok());
  const auto grown = [&](int counter) { return (*after)[counter] - (*before)[counter]; };
  const std::uint64_t lost = grown(SL_COUNTER_EVENT_LOST_RING_FULL) + grown(SL_COUNTER_EVENT_LOST_SHARE);
  EXPECT_GT(lost, 0u);
  // A denied-flow entry that is evicted by another also ends with an event.
  EXPECT_EQ(Told().size() + lost, kFlows + grown(SL_COUNTER_FLOW_EVICTED));
}

}  // namespace
}  // namespace sluice::test
