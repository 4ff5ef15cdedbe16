// A full flow table: no denied packet passes, answered flows stay, and evictions are counted. The table here is one
// bucket, so that all flows share it.
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "kernel/bpf/map.h"
#include "tests/support/sample_cluster.h"

namespace sluice::test {
namespace {

using datapath::FlowRecord;
using datapath::FlowState;

class ConntrackFull : public SampleCluster {
 protected:
  static constexpr int kEvictable = SL_FLOW_WAYS - SL_FLOW_ESTABLISHED_WAYS;

  static void SetUpTestSuite() {
    options_.object.flows = 1;
    options_.object.flow_share_slots = 1 << 20;  // another suite tests shares
    SampleCluster::SetUpTestSuite();
  }
  void SetUp() override {
    SampleCluster::SetUp();
    Enforce(DbPolicy());
  }

  static Packet ToDb(int number, std::uint8_t flags) { return Tcp4(kWebIp, kDbIp, 5432, flags, Port(number)); }
  static Packet ToWeb(int number, std::uint8_t flags) { return Tcp4(kDbIp, kWebIp, Port(number), flags, 5432); }
  static std::uint16_t Port(int number) { return static_cast<std::uint16_t>(20000 + number); }
  static Packet Denied(int number) { return Tcp4(kOtherIp, kDbIp, 5432, kSyn, Port(number)); }

  // The clock advances one second for each.
  void Open(int number) {
    fixture_->SetClock(1000 + number);
    const Evaluated evaluated = FromPod(kWeb, ToDb(number, kSyn));
    ASSERT_TRUE(evaluated.forwarded) << "flow " << number << ": " << evaluated.reason;
  }
  void Answer(int number) { ASSERT_TRUE(FromPod(kDb, ToWeb(number, kSyn | kAck)).forwarded) << "flow " << number; }
  void Shake(int number) {
    Answer(number);
    ASSERT_TRUE(FromPod(kWeb, ToDb(number, kAck)).forwarded) << "flow " << number;
  }
  void Establish(int count) {
    for (int i = 0; i < count; ++i) {
      Open(i);
      Shake(i);
    }
  }
  int Count(FlowState state) {
    const auto flows = Flows();
    return static_cast<int>(std::count_if(flows.begin(), flows.end(), [&](const auto& f) { return f.state == state; }));
  }
  static std::uint64_t Events(int counter) {
    const auto events = fixture_->datapath().ReadEventCounters();
    EXPECT_TRUE(events.ok()) << events.status();
    return events.ok() ? (*events)[counter] : 0;
  }
};

TEST_F(ConntrackFull, AOneWayFlowMakesRoom) {
  for (int i = 0; i < SL_FLOW_WAYS; ++i) Open(i);
  EXPECT_EQ(Count(FlowState::kPending), SL_FLOW_WAYS);
  const std::uint64_t evicted = Events(SL_COUNTER_FLOW_EVICTED);
  for (int i = SL_FLOW_WAYS; i < 100; ++i) Open(i);
  EXPECT_EQ(Count(FlowState::kPending), SL_FLOW_WAYS);
  EXPECT_EQ(Events(SL_COUNTER_FLOW_EVICTED), evicted + 100 - SL_FLOW_WAYS);
  Shake(99);  // the last flow exists
  EXPECT_EQ(Count(FlowState::kEstablished), 1);
}

// Of two candidates, the one idle for longer is evicted, so the flow with the latest packet never is.
TEST_F(ConntrackFull, WhoHadTheLastPacketStays) {
  for (int i = 0; i < SL_FLOW_WAYS; ++i) Open(i);
  for (int i = SL_FLOW_WAYS; i < 200; ++i) {
    fixture_->SetClock(1000 + i);
    ASSERT_TRUE(FromPod(kWeb, ToDb(0, kSyn)).forwarded);
    Open(i);
  }
  Shake(0);
  EXPECT_EQ(Count(FlowState::kEstablished), 1);
  for (const FlowRecord& flow : Flows()) {
    if (flow.state != FlowState::kEstablished) continue;
    EXPECT_EQ(flow.entry.forward_packets, 200u - SL_FLOW_WAYS + 2);
  }
}

// Any sender can get an answer to a SYN, even with a spoofed address.
TEST_F(ConntrackFull, AnAnswerAloneKeepsNoPlace) {
  Open(0);
  Shake(0);
  for (int i = 1; i < 100; ++i) {
    Open(i);
    Answer(i);
  }
  EXPECT_EQ(Count(FlowState::kPending), SL_FLOW_WAYS - 1);
  EXPECT_EQ(Count(FlowState::kEstablished), 1);
  const auto ask = [this](int number, bool back) {
    const Udp there{.sport = Port(number), .dport = 53}, here{.sport = 53, .dport = Port(number)};
    return back ? FromPod(kOther, Eth{} / Ipv4{.src = kOtherIp, .dst = kWebIp} / here / Payload{})
                : FromPod(kWeb, Eth{} / Ipv4{.src = kWebIp, .dst = kOtherIp} / there / Payload{});
  };
  for (int i = 0; i < 100; ++i) {
    ASSERT_TRUE(ask(i, false).forwarded);
    ASSERT_TRUE(ask(i, true).forwarded);
  }
  Open(200);
  EXPECT_EQ(Count(FlowState::kEstablished), 1) << "single questions are none";
  EXPECT_TRUE(FromPod(kDb, ToWeb(0, kAck)).forwarded);
}

TEST_F(ConntrackFull, WhatIsClosingOrRevokedGoesFirst) {
  for (const char* how : {"closed", "reset", "revoked"}) {
    SCOPED_TRACE(how);
    ASSERT_TRUE(fixture_->ForgetFlows().ok());
    Enforce(DbPolicy());
    for (int i = 0; i < SL_FLOW_WAYS - 4; ++i) Open(i);
    ASSERT_FALSE(FromPod(kOther, Denied(0)).forwarded);
    const bool revoked = how == std::string("revoked");
    for (int i = 100; i < 103; ++i) {
      Open(i);
      Shake(i);
      if (how == std::string("reset")) {
        ASSERT_TRUE(FromPod(kDb, ToWeb(i, kRst)).forwarded);
      }
      if (how != std::string("closed")) continue;
      ASSERT_TRUE(FromPod(kWeb, ToDb(i, kFin | kAck)).forwarded);
      ASSERT_TRUE(FromPod(kDb, ToWeb(i, kFin | kAck)).forwarded);
      ASSERT_TRUE(FromPod(kWeb, ToDb(i, kAck)).forwarded);
    }
    if (revoked) {
      Enforce(Isolate("db"));
      for (int i = 100; i < 103; ++i) ASSERT_FALSE(FromPod(kWeb, ToDb(i, kAck)).forwarded);
    }
    EXPECT_EQ(Count(FlowState::kClosing), 3);
    for (int i = 0; i < 3; ++i) {
      const auto port = static_cast<std::uint16_t>(30000 + i);
      ASSERT_TRUE(FromPod(kWeb, Tcp4(kWebIp, kOtherIp, 80, kSyn, port)).forwarded);
    }
    EXPECT_EQ(Count(FlowState::kClosing), 0);
    EXPECT_EQ(Count(FlowState::kDenied), 1);
    EXPECT_EQ(Count(FlowState::kPending), SL_FLOW_WAYS - 1);
  }
}

TEST_F(ConntrackFull, WhatWasAnsweredStaysInAFlood) {
  Establish(SL_FLOW_ESTABLISHED_WAYS);
  EXPECT_EQ(Count(FlowState::kEstablished), SL_FLOW_ESTABLISHED_WAYS);
  for (int i = 100; i < 300; ++i) Open(i);
  EXPECT_EQ(Count(FlowState::kEstablished), SL_FLOW_ESTABLISHED_WAYS);
  EXPECT_EQ(Count(FlowState::kPending), kEvictable);
  for (int i = 0; i < SL_FLOW_ESTABLISHED_WAYS; ++i) {
    EXPECT_TRUE(FromPod(kWeb, ToDb(i, kAck)).forwarded);
    EXPECT_TRUE(FromPod(kDb, ToWeb(i, kAck)).forwarded);
  }
}

TEST_F(ConntrackFull, WhoIsEstablishedAlreadyIsNotCountedAgain) {
  Establish(SL_FLOW_ESTABLISHED_WAYS);
  Enforce(DbPolicy());  // so that the next packets take the full path
  const Evaluated answer = FromPod(kDb, ToWeb(0, kAck));
  EXPECT_EQ(answer.moves, Moves()
                              .Packet(SL_HOOK_TC_FROM_POD, SL_DROP_NONE, answer.bytes)
                              .Egress(2, SL_DROP_NONE, answer.bytes)
                              .Count(SL_COUNTER_FLOW_REDECIDED)
                              .Changed("established"));
}

TEST_F(ConntrackFull, OneAnsweredMoreStaysPendingAndWorks) {
  Establish(SL_FLOW_ESTABLISHED_WAYS);
  Open(100);
  Answer(100);
  for (int i = 0; i < 2; ++i) {
    const Evaluated third = FromPod(kWeb, ToDb(100, kAck));
    EXPECT_EQ(third.moves, Moves()
                               .Packet(SL_HOOK_TC_FROM_POD, SL_DROP_NONE, third.bytes)
                               .Egress(1, SL_DROP_NONE, third.bytes)
                               .Count(SL_COUNTER_CT_PROMOTE_FAILED)
                               .Changed("pending"));
  }
  EXPECT_TRUE(FromPod(kWeb, ToDb(100, kAck)).forwarded);
  EXPECT_EQ(FromPod(kWeb, Tcp4(kWebIp, kDbIp, 1)).reason, SL_DROP_POLICY_DENIED);
  // A pending flow is revoked like any other.
  Enforce(Isolate("db"));
  EXPECT_EQ(FromPod(kDb, ToWeb(100, kAck)).reason, SL_DROP_POLICY_DENIED);
  EXPECT_EQ(FromPod(kWeb, ToDb(100, kAck)).reason, SL_DROP_POLICY_DENIED);
}

TEST_F(ConntrackFull, RecordsOfDeniedFlowsGoFirst) {
  for (int i = 0; i < SL_FLOW_WAYS - 3; ++i) Open(i);
  for (int i = 0; i < 3; ++i) ASSERT_FALSE(FromPod(kOther, Denied(i)).forwarded);
  EXPECT_EQ(Count(FlowState::kDenied), 3);
  for (int i = 0; i < 3; ++i) Open(100 + i);
  EXPECT_EQ(Count(FlowState::kDenied), 0);
  EXPECT_EQ(Count(FlowState::kPending), SL_FLOW_WAYS);
}

TEST_F(ConntrackFull, ARecordThrowsOnlyRecordsOut) {
  for (int i = 0; i < SL_FLOW_WAYS - 1; ++i) Open(i);
  for (int i = 0; i < 5; ++i) ASSERT_FALSE(FromPod(kOther, Denied(i)).forwarded);
  EXPECT_EQ(Count(FlowState::kPending), SL_FLOW_WAYS - 1);
  EXPECT_EQ(Count(FlowState::kDenied), 1);
  Open(100);
  const Evaluated evaluated = FromPod(kOther, Denied(5));
  EXPECT_EQ(evaluated.moves, Moves()
                                 .Packet(SL_HOOK_TC_FROM_POD, SL_DROP_POLICY_DENIED, evaluated.bytes)
                                 .Egress(3, SL_DROP_POLICY_DENIED, evaluated.bytes)
                                 .Count(SL_COUNTER_DENIED_UNRECORDED));
}

// As if other CPUs were writing to all other slots of the bucket.
TEST_F(ConntrackFull, AnAllowedFlowThatCannotBeTrackedIsDroppedForThat) {
  Open(0);
  using Buckets = bpf::Map<std::uint32_t, sl_flow_bucket>;
  const auto buckets = Buckets::Bind(fixture_->datapath().object().map_fd("flow_buckets"), "flow_buckets");
  ASSERT_TRUE(buckets.ok()) << buckets.status();
  const sl_flow_bucket before = **buckets->Get(0);
  sl_flow_bucket busy = before;
  for (std::uint32_t& tag : busy.tags)
    if (tag == 0) tag = 1 << 4 | SL_FLOW_BUSY;
  ASSERT_TRUE(buckets->Put(0, busy).ok());
  Shake(0);
  const Evaluated refused = FromPod(kWeb, ToDb(1, kSyn));
  EXPECT_EQ(refused.reason, SL_DROP_CONNTRACK_FULL);
  EXPECT_EQ(refused.moves, Moves()
                               .Packet(SL_HOOK_TC_FROM_POD, SL_DROP_CONNTRACK_FULL, refused.bytes)
                               .Egress(1, SL_DROP_CONNTRACK_FULL, refused.bytes)
                               .Ingress(2, SL_DROP_CONNTRACK_FULL, 0, 0)
                               .Count(SL_COUNTER_CT_INSERT_FAILED));
  EXPECT_TRUE(FromPod(kWeb, ToDb(0, kAck)).forwarded) << "who is tracked goes on";
  sl_flow_bucket after = **buckets->Get(0);
  for (std::uint32_t& tag : after.tags)
    if ((tag & SL_FLOW_STATE_MASK) == SL_FLOW_BUSY) tag = 0;
  ASSERT_TRUE(buckets->Put(0, after).ok());
  Open(1);
}

// A table of several buckets: a flow whose primary bucket is full becomes an overflow entry in another one.
class Overflow : public SampleCluster {
 protected:
  static constexpr std::uint32_t kBuckets = 64;
  static constexpr int kFlows = kBuckets * SL_FLOW_WAYS * 6 / 10;

  static void SetUpTestSuite() {
    options_.object.flows = kBuckets * SL_FLOW_WAYS;
    options_.object.flow_share_slots = 1 << 20;
    SampleCluster::SetUpTestSuite();
  }
  static Packet There(int number, std::uint8_t flags) {
    return Tcp4(kWebIp, kDbIp, 5432, flags, static_cast<std::uint16_t>(20000 + number));
  }
  static Packet Back(int number, std::uint8_t flags) {
    return Tcp4(kDbIp, kWebIp, static_cast<std::uint16_t>(20000 + number), flags, 5432);
  }
  static std::uint32_t Count() {
    using Buckets = bpf::Map<std::uint32_t, sl_flow_bucket>;
    const auto buckets = Buckets::Bind(fixture_->datapath().object().map_fd("flow_buckets"), "flow_buckets");
    EXPECT_TRUE(buckets.ok()) << buckets.status();
    std::uint32_t overflow = 0;
    for (std::uint32_t index = 0; index < kBuckets; ++index) overflow += (*buckets->Get(index))->overflow;
    return overflow;
  }
};

// Seeds are random: whether one flow in hundreds finds no room, or cannot be established, is chance.
TEST_F(Overflow, ATableThatIsSixTenthsFullKeepsItsFlows) {
  Enforce(DbPolicy());
  std::uint32_t seen = 0;
  for (int draw = 0; draw < 4; ++draw) {  // other ports, other buckets
    const int first = draw * kFlows;
    for (int i = first; i < first + kFlows; ++i) {
      ASSERT_TRUE(FromPod(kWeb, There(i, kSyn)).forwarded);
      ASSERT_TRUE(FromPod(kDb, Back(i, kSyn | kAck)).forwarded);
    }
    seen += Count();
    for (int i = first; i < first + kFlows; ++i) {
      EXPECT_TRUE(FromPod(kWeb, There(i, kAck)).forwarded) << "flow " << i;
      EXPECT_TRUE(FromPod(kDb, Back(i, kAck)).forwarded) << "flow " << i;
    }
    const auto flows = Flows();
    int whole = 0;
    for (const FlowRecord& flow : flows)
      whole +=
          flow.state == FlowState::kEstablished && flow.entry.forward_packets == 2 && flow.entry.reply_packets == 2;
    EXPECT_GE(whole, kFlows * 98 / 100);
    EXPECT_LE(flows.size(), static_cast<std::size_t>(kFlows));
    ASSERT_TRUE(fixture_->datapath().ForgetFlows(flows).ok());
    EXPECT_TRUE(Flows().empty());
    EXPECT_EQ(Count(), 0u);
  }
  EXPECT_GT(seen, 0u) << "there was no overflow entry";
}

// Each removed overflow entry decrements the primary bucket's count: here by reopened connections and by evictions.
TEST_F(Overflow, WhoLeavesIsCountedOut) {
  Enforce(DbPolicy());
  constexpr int kMany = kBuckets * SL_FLOW_WAYS * 8 / 10;
  for (int i = 0; i < kMany; ++i) ASSERT_TRUE(FromPod(kWeb, There(i, kSyn)).forwarded);
  ASSERT_GT(Count(), 0u);
  for (int i = 0; i < kMany; ++i) ASSERT_TRUE(FromPod(kDb, Back(i, kRst)).forwarded);
  for (int i = 0; i < kMany; ++i) ASSERT_TRUE(FromPod(kWeb, There(i, kSyn)).forwarded) << "flow " << i;
  for (int i = kMany; i < 5 * kMany; ++i) ASSERT_TRUE(FromPod(kWeb, There(i, kSyn)).forwarded) << "evicts";
  const auto flows = Flows();
  ASSERT_TRUE(fixture_->datapath().ForgetFlows(flows).ok());
  EXPECT_EQ(Count(), 0u);
}

}  // namespace
}  // namespace sluice::test
