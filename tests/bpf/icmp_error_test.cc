// ICMP errors pass when the packet they quote is of an allowed flow: both families, and they open no way in.
#include <gtest/gtest.h>

#include "tests/support/sample_cluster.h"

namespace sluice::test {
namespace {

class IcmpError : public SampleCluster {
 protected:
  void SetUp() override {
    SampleCluster::SetUp();
    Enforce(DbPolicy() + Isolate("web") + Isolate("other"));
  }
  // An error of a router or an end host to the sender of `about`.
  static Packet Error4(const std::string& from, const std::string& to, const Packet& about, int type = 3) {
    return Eth{} / Ipv4{.src = from, .dst = to} / Icmp{.type = static_cast<std::uint8_t>(type), .code = 4} /
           Raw{about.ToQuote(28)};
  }
  static Packet Error6(const std::string& from, const std::string& to, const Packet& about, int type = 2) {
    return Eth{} / Ipv6{.src = from, .dst = to} / Icmp{.type = static_cast<std::uint8_t>(type)} /
           Raw{about.ToQuote(200)};
  }
  // Counters of an error that passes: its hook's and, where known, the workload's.
  static Moves Passed(int hook, std::uint64_t bytes) { return Moves().Packet(hook, SL_DROP_NONE, bytes); }
};

TEST_F(IcmpError, FromTheOtherEnd) {
  const Packet error = Error4(kDbIp, kWebIp, ToDb(kSyn));
  EXPECT_EQ(FromPod(kDb, error).reason, SL_DROP_POLICY_DENIED) << "no such flow yet";
  ASSERT_TRUE(fixture_->ForgetFlows().ok());
  ASSERT_TRUE(FromPod(kWeb, ToDb(kSyn)).forwarded);
  const Evaluated sent = FromPod(kDb, error);
  EXPECT_EQ(sent.moves, Passed(SL_HOOK_TC_FROM_POD, sent.bytes).Egress(2, SL_DROP_NONE, sent.bytes));
  const Evaluated received = ToPod(kWeb, kDb, error);
  EXPECT_EQ(received.moves, Passed(SL_HOOK_TC_TO_POD, received.bytes).Ingress(1, SL_DROP_NONE, received.bytes));
}

TEST_F(IcmpError, FromARouterOnTheWay) {
  const Packet out4 = Tcp4(kWebIp, kRemoteIp, 80), out6 = Tcp6(kWebIp6, kRemoteIp6, 80);
  ASSERT_TRUE(FromPod(kWeb, out4).forwarded);
  ASSERT_TRUE(FromPod(kWeb, out6).forwarded);
  for (const Packet& error : {Error4("192.0.2.77", kWebIp, out4, 11), Error6("2001:db8::77", kWebIp6, out6),
                              Error6("2001:db8::77", kWebIp6, out6, 3)}) {
    const Evaluated passed = FromWire(error);
    EXPECT_EQ(passed.moves, Passed(SL_HOOK_XDP_UPLINK, passed.bytes));
    const Evaluated received = ToPod(kWeb, kUplink, error);
    EXPECT_EQ(received.moves, Passed(SL_HOOK_TC_TO_POD, received.bytes).Ingress(1, SL_DROP_NONE, received.bytes));
  }
}

TEST_F(IcmpError, FromTheNode) {
  const Packet out = Tcp4(kWebIp, kRemoteIp, 80);
  ASSERT_TRUE(FromPod(kWeb, out).forwarded);
  EXPECT_TRUE(ToPod(kWeb, kNode, Error4(kNodeIp, kWebIp, out)).forwarded);
}

TEST_F(IcmpError, OnlyAboutAFlowThatIsAllowed) {
  EXPECT_FALSE(FromPod(kWeb, Tcp4(kWebIp, kDbIp, 9)).forwarded);
  EXPECT_FALSE(FromPod(kDb, Error4(kDbIp, kWebIp, Tcp4(kWebIp, kDbIp, 9))).forwarded);
  ASSERT_TRUE(FromPod(kWeb, ToDb(kSyn)).forwarded);
  Enforce(Isolate("db") + Isolate("web"));
  EXPECT_FALSE(FromPod(kDb, Error4(kDbIp, kWebIp, ToDb(kSyn))).forwarded) << "the flow was revoked";
}

TEST_F(IcmpError, OnlyFromAPartyOfTheFlowAndToIt) {
  ASSERT_TRUE(FromPod(kWeb, ToDb(kSyn)).forwarded);
  EXPECT_FALSE(FromPod(kOther, Error4(kOtherIp, kWebIp, ToDb(kSyn))).forwarded) << "not a party";
  EXPECT_EQ(FromPod(kOther, Error4(kDbIp, kWebIp, ToDb(kSyn))).reason, SL_DROP_SPOOFED_SOURCE);
  EXPECT_FALSE(FromPod(kDb, Error4(kDbIp, kOtherIp, ToDb(kSyn))).forwarded)
      << "quotes a packet that other did not send";
  EXPECT_FALSE(ToPod(kOther, kElsewhere, Error4(kDbIp, kWebIp, ToDb(kSyn))).forwarded) << "web is not there";
}

TEST_F(IcmpError, NotFromTheWireInTheNameOfALocalPod) {
  ASSERT_TRUE(FromPod(kWeb, ToDb(kSyn)).forwarded);
  EXPECT_EQ(FromWire(Error4(kDbIp, kWebIp, ToDb(kSyn))).reason, SL_DROP_SPOOFED_SOURCE);
  ASSERT_TRUE(FromPod(kWeb, Tcp4(kWebIp, kRemoteIp, 80)).forwarded);
  EXPECT_EQ(FromWire(Error4(kNodeIp, kWebIp, Tcp4(kWebIp, kRemoteIp, 80))).reason, SL_DROP_SPOOFED_SOURCE);
}

TEST_F(IcmpError, ShortQuotesArePackets) {
  ASSERT_TRUE(FromPod(kWeb, ToDb(kSyn)).forwarded);
  for (std::size_t quoted = 0; quoted < 28; ++quoted) {
    const Packet error = Eth{} / Ipv4{.src = kDbIp, .dst = kWebIp} / Icmp{.type = 3} / Raw{ToDb(kSyn).ToQuote(quoted)};
    EXPECT_EQ(FromPod(kDb, error).reason, SL_DROP_POLICY_DENIED) << quoted << " quoted bytes name no flow";
  }
}

}  // namespace
}  // namespace sluice::test
