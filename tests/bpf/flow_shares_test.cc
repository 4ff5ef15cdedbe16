// One workload against all: it may have as many flows as there are free slots, whatever it opens or receives; the
// others keep their flows and can open new ones.
#include <gtest/gtest.h>

#include <algorithm>

#include "kernel/bpf/map.h"
#include "tests/support/sample_cluster.h"

namespace sluice::test {
namespace {

using datapath::FlowRecord;
using datapath::FlowState;

class FlowShares : public SampleCluster {
 protected:
  static constexpr std::uint32_t kBuckets = 64;
  static constexpr int kSlots = kBuckets * SL_FLOW_WAYS;
  static constexpr int kMany = 4 * kSlots;
  static constexpr std::uint64_t kHalf = kSlots / 2;

  static void SetUpTestSuite() {
    options_.object.flows = kSlots;
    SampleCluster::SetUpTestSuite();
  }
  void SetUp() override {
    SampleCluster::SetUp();
    Enforce();
  }

  static std::uint64_t Share(std::uint32_t endpoint) {
    using Shares = bpf::Map<std::uint32_t, std::uint64_t>;
    const auto shares = Shares::Bind(fixture_->datapath().object().map_fd("flow_shares"), "flow_shares");
    EXPECT_TRUE(shares.ok()) << shares.status();
    return **shares->Get(endpoint);
  }
  static std::uint64_t Events(int counter) {
    const auto events = fixture_->datapath().ReadEventCounters();
    EXPECT_TRUE(events.ok()) << events.status();
    return events.ok() ? (*events)[counter] : 0;
  }
  static std::uint16_t Port(int number) { return static_cast<std::uint16_t>(10000 + number); }
  // Does not read what changed, which would be slow.
  static bool Sent(int interface, const Packet& packet) {
    const auto verdict = fixture_->FromPod(fixture_->ifindex(interface), packet.ToFrame());
    EXPECT_TRUE(verdict.ok()) << verdict.status();
    return verdict.ok() && verdict->forwarded;
  }
  static bool Came(const Packet& packet) {
    const auto verdict = fixture_->FromWire(packet.ToFrame());
    EXPECT_TRUE(verdict.ok()) << verdict.status();
    return verdict.ok() && verdict->forwarded;
  }
  // A whole handshake. False: it was refused.
  static bool Connect(int from, const char* source, int number) {
    return Sent(from, Tcp4(source, kDbIp, 5432, kSyn, Port(number))) &&
           Sent(kDb, Tcp4(kDbIp, source, Port(number), kSyn | kAck, 5432)) &&
           Sent(from, Tcp4(source, kDbIp, 5432, kAck, Port(number)));
  }
  static bool Talks(int from, const char* source, int number) {
    return Sent(kDb, Tcp4(kDbIp, source, Port(number), kAck | kPsh, 5432)) &&
           Sent(from, Tcp4(source, kDbIp, 5432, kAck | kPsh, Port(number)));
  }
  // Another pod's connections all succeed. By chance both buckets of a flow may be full of established flows; then it
  // stays pending.
  void ExpectOtherConnects(int first, int count) {
    for (int i = first; i < first + count; ++i) ASSERT_TRUE(Connect(kOther, kOtherIp, i)) << i;
    const auto flows = Flows();
    EXPECT_GE(std::count_if(flows.begin(), flows.end(),
                            [](const FlowRecord& flow) {
                              return flow.entry.owner == 3 && flow.state == FlowState::kEstablished;
                            }),
              (first + count) * 9 / 10);
  }
  // The counts match the flows in the table.
  void ExpectShares() {
    std::map<std::uint32_t, std::uint64_t> owners;
    std::uint64_t all = 0;
    for (const FlowRecord& flow : Flows()) {
      if (flow.state == FlowState::kDenied) continue;
      ++all;
      ++owners[flow.entry.owner];
    }
    EXPECT_EQ(Share(0), all);
    for (std::uint32_t endpoint = 1; endpoint < 8; ++endpoint) EXPECT_EQ(Share(endpoint), owners[endpoint]) << endpoint;
  }
};

TEST_F(FlowShares, AFloodOfEstablishedConnectionsTakesHalfAtMost) {
  ExpectOtherConnects(0, 20);
  int connected = 0;
  const std::uint64_t refused = Events(SL_COUNTER_FLOW_OVER_SHARE);
  for (int i = 0; i < kMany; ++i) connected += Connect(kWeb, kWebIp, i);
  EXPECT_LE(Share(1), kHalf);
  EXPECT_GT(Share(1), std::uint64_t{kSlots / 3}) << "alone, a workload may have a lot";
  EXPECT_GT(Events(SL_COUNTER_FLOW_OVER_SHARE), refused);
  EXPECT_GT(connected, kSlots / 3);
  for (int i = 0; i < 20; ++i) EXPECT_TRUE(Talks(kOther, kOtherIp, i)) << i;
  ExpectOtherConnects(20, 100);
  for (int i = 0; i < 10; ++i) EXPECT_TRUE(Talks(kWeb, kWebIp, i)) << "its own older ones go on: " << i;
  ExpectShares();
}

TEST_F(FlowShares, WhoHasAllOfHisShareIsToldSo) {
  for (int i = 0; i < kMany; ++i) Connect(kWeb, kWebIp, i);
  int refused = 0;
  for (int i = 0; i < 20; ++i) {
    const Evaluated evaluated = FromPod(kWeb, Tcp4(kWebIp, kDbIp, 80, kSyn, Port(i)));
    if (evaluated.forwarded) continue;
    ++refused;
    EXPECT_EQ(evaluated.reason, SL_DROP_CONNTRACK_FULL);
    EXPECT_EQ(evaluated.moves, Moves()
                                   .Packet(SL_HOOK_TC_FROM_POD, SL_DROP_CONNTRACK_FULL, evaluated.bytes)
                                   .Egress(1, SL_DROP_CONNTRACK_FULL, evaluated.bytes)
                                   .Ingress(2, SL_DROP_CONNTRACK_FULL, 0, 0)
                                   .Count(SL_COUNTER_FLOW_OVER_SHARE)
                                   .Count(SL_COUNTER_CT_INSERT_FAILED));
  }
  EXPECT_GT(refused, 0);
}

TEST_F(FlowShares, AFloodOfSynsMakesRoomForItself) {
  ExpectOtherConnects(0, 20);
  for (int i = 0; i < kMany; ++i) {
    ASSERT_TRUE(Sent(kWeb, Tcp4(kWebIp, kDbIp, 5432, kSyn, Port(i)))) << i;
    // Answers arrive, and the kernel's replies to them are dropped.
    ASSERT_TRUE(Sent(kDb, Tcp4(kDbIp, kWebIp, Port(i), kSyn | kAck, 5432))) << i;
  }
  EXPECT_LE(Share(1), kHalf);
  for (int i = 0; i < 20; ++i) EXPECT_TRUE(Talks(kOther, kOtherIp, i)) << i;
  ExpectOtherConnects(20, 100);
  ExpectShares();
}

TEST_F(FlowShares, SingleQuestionsMakeRoomForThemselves) {
  const auto datagram = [](const char* src, std::uint16_t sport, const char* dst, std::uint16_t dport) {
    return Eth{} / Ipv4{.src = src, .dst = dst} / Udp{.sport = sport, .dport = dport} / Payload{};
  };
  ExpectOtherConnects(0, 20);
  for (int i = 0; i < kMany; ++i) {
    ASSERT_TRUE(Sent(kWeb, datagram(kWebIp, Port(i), kDbIp, 53))) << i;
    ASSERT_TRUE(Sent(kDb, datagram(kDbIp, 53, kWebIp, Port(i)))) << i;
  }
  EXPECT_LE(Share(1), kHalf);
  for (int i = 0; i < 20; ++i) EXPECT_TRUE(Talks(kOther, kOtherIp, i)) << i;
  ExpectOtherConnects(20, 100);
}

// Spoofed SYNs from outside: the flows count for the share of the target with the open port.
TEST_F(FlowShares, AFloodOfSpoofedSynsIsItsTargetsAlone) {
  const auto spoofed = [](int number) {
    return Tcp4(fmt::format("198.51.{}.{}", 100 + number / 250, 1 + number % 250), kDbIp, 5432, kSyn, Port(number));
  };
  const auto reply = [](int number) {
    return Tcp4(kDbIp, fmt::format("198.51.{}.{}", 100 + number / 250, 1 + number % 250), Port(number), kSyn | kAck,
                5432);
  };
  const auto guess = [](int number) {
    return Eth{} / Ipv4{.src = fmt::format("198.51.{}.{}", 100 + number / 250, 1 + number % 250), .dst = kDbIp} /
           Tcp{.sport = Port(number), .dport = 5432, .flags = kAck, .seq = 2, .ack = 0xabcdef};
  };
  const Packet syn = Tcp4("203.0.113.9", kDbIp, 5432, kSyn, 9), ack = Tcp4("203.0.113.9", kDbIp, 5432, kAck, 9),
               answer = Tcp4(kDbIp, "203.0.113.9", 9, kSyn | kAck, 5432);
  ExpectOtherConnects(0, 20);
  ASSERT_TRUE(Came(syn) && Sent(kDb, answer) && Came(ack));
  for (int i = 0; i < kMany; ++i) {
    ASSERT_TRUE(Came(spoofed(i))) << i;
    ASSERT_TRUE(Sent(kDb, reply(i))) << i;
    ASSERT_TRUE(Came(guess(i))) << i;
  }
  EXPECT_LE(Share(2), kHalf);
  EXPECT_TRUE(Came(ack) && Sent(kDb, answer)) << "who is connected stays so";
  for (int i = 0; i < 20; ++i) EXPECT_TRUE(Talks(kOther, kOtherIp, i)) << i;
  ExpectOtherConnects(20, 100);
  ExpectShares();
}

// No share may exceed the free slots, so room is always left.
TEST_F(FlowShares, SeveralWhoFloodLeaveRoom) {
  for (int i = 0; i < kMany; ++i) {
    Connect(kWeb, kWebIp, i);
    Sent(kDb, Tcp4(kDbIp, kRemoteIp, 80, kSyn, Port(i)));
  }
  EXPECT_LE(Share(0), std::uint64_t{kSlots * 2 / 3 + 2});
  ExpectOtherConnects(0, 100);
  ExpectShares();
}

TEST_F(FlowShares, WhatTheNodeOpensIsNobodys) {
  for (int i = 0; i < kMany; ++i) Connect(kWeb, kWebIp, i);
  for (int i = 0; i < 50; ++i) {
    const auto probe = fixture_->ToPod(ifindex(kWeb), 0, Tcp4(kNodeIp, kWebIp, 8080, kSyn, Port(i)).ToFrame());
    ASSERT_TRUE(probe.ok()) << probe.status();
    EXPECT_TRUE(probe->forwarded) << i;
  }
  ExpectShares();
}

// A proxy in the node's network, which any client can use to connect to pods, does not fill the table.
TEST_F(FlowShares, WhatTheNodeOpensLeavesRoom) {
  ExpectOtherConnects(0, 20);
  const auto node = [&](int number, std::uint8_t flags) {
    const auto sent = fixture_->ToPod(ifindex(kDb), 0, Tcp4(kNodeIp, kDbIp, 8080, flags, Port(number)).ToFrame());
    EXPECT_TRUE(sent.ok()) << sent.status();
    return sent.ok() && sent->forwarded;
  };
  for (int i = 0; i < kMany; ++i) {
    if (node(i, kSyn) && Sent(kDb, Tcp4(kDbIp, kNodeIp, Port(i), kSyn | kAck, 8080))) node(i, kAck);
  }
  EXPECT_GE(Share(0), std::uint64_t{kSlots * 3 / 4});
  EXPECT_LE(Share(0), std::uint64_t{kSlots * 7 / 8 + 2});
  for (int i = 0; i < 20; ++i) EXPECT_TRUE(Talks(kOther, kOtherIp, i)) << i;
  for (int i = 20; i < 50; ++i) EXPECT_TRUE(Connect(kOther, kOtherIp, i) && Talks(kOther, kOtherIp, i)) << i;
  ExpectShares();
}

// The state after an agent died between writing a flow and its counts.
TEST_F(FlowShares, WrongCountsAreCountedAnew) {
  using Shares = bpf::Map<std::uint32_t, std::uint64_t>;
  using Buckets = bpf::Map<std::uint32_t, sl_flow_bucket>;
  auto& object = fixture_->datapath().object();
  const auto shares = Shares::Bind(object.map_fd("flow_shares"), "flow_shares");
  const auto buckets = Buckets::Bind(object.map_fd("flow_buckets"), "flow_buckets");
  ASSERT_TRUE(shares.ok() && buckets.ok());
  for (int i = 0; i < 30; ++i) ASSERT_TRUE(Sent(kWeb, Tcp4(kWebIp, kDbIp, 5432, kSyn, Port(i))));
  ASSERT_TRUE(shares->Put(1, 5000).ok());
  ASSERT_TRUE(shares->Put(0, 0).ok());
  ASSERT_TRUE(shares->Put(3, -1UL).ok());
  sl_flow_bucket bucket = **buckets->Get(7);
  const std::uint32_t overflow = bucket.overflow;
  bucket.overflow += 2;
  ASSERT_TRUE(buckets->Put(7, bucket).ok());
  for (int i = 0; i < 2; ++i) Flows();
  EXPECT_EQ(Share(0), 30u);
  EXPECT_EQ(Share(1), 30u);
  EXPECT_EQ(Share(3), 0u);
  EXPECT_EQ((**buckets->Get(7)).overflow, overflow);
}

TEST_F(FlowShares, WhatGoesIsCountedOut) {
  for (int i = 0; i < kMany; ++i) Sent(kWeb, Tcp4(kWebIp, kDbIp, 5432, kSyn, Port(i)));
  ASSERT_GT(Share(1), 0u);
  ExpectShares();
  ASSERT_TRUE(fixture_->ForgetFlows().ok());
  EXPECT_EQ(Share(0), 0u);
  EXPECT_EQ(Share(1), 0u);
}

}  // namespace
}  // namespace sluice::test
