// Packets of unknown flows: which end is the initiator, and which direction policy evaluates. Connections older than
// the agent, peers that become known late, unknown addresses, and ICMP in both directions.
#include <gtest/gtest.h>

#include <algorithm>

#include "tests/support/sample_cluster.h"

namespace sluice::test {
namespace {

class Orientation : public SampleCluster {
 protected:
  static Packet Udp4(const std::string& src, std::uint16_t sport, const std::string& dst, std::uint16_t dport) {
    return Eth{} / Ipv4{.src = src, .dst = dst} / Udp{.sport = sport, .dport = dport} / Payload{20};
  }
  static Packet Icmp4(const std::string& src, const std::string& dst, std::uint8_t type, std::uint16_t id = 77) {
    return Eth{} / Ipv4{.src = src, .dst = dst} / Icmp{.type = type, .id = id};
  }
  static Packet Icmp6(const std::string& src, const std::string& dst, std::uint8_t type, std::uint16_t id = 77) {
    return Eth{} / Ipv6{.src = src, .dst = dst} / Icmp{.type = type, .id = id};
  }
  std::uint32_t Initiator() {
    const auto flows = Flows();
    EXPECT_EQ(flows.size(), 1u);
    return flows.size() == 1 ? flows[0].entry.initiator.endpoint : 0;
  }
};

// An older, allowed connection of web to db; nothing may connect to web.
TEST_F(Orientation, TheServerSpeaksFirstInAnAllowedConnection) {
  Enforce(DbPolicy() + Isolate("web"));
  for (const std::uint8_t flags : {kAck, static_cast<std::uint8_t>(kAck | kPsh), static_cast<std::uint8_t>(kSyn | kAck),
                                   static_cast<std::uint8_t>(kFin | kAck)}) {
    SCOPED_TRACE(static_cast<int>(flags));
    ASSERT_TRUE(fixture_->ForgetFlows().ok());
    const Evaluated answer = FromPod(kDb, ToWeb(flags));
    EXPECT_TRUE(answer.forwarded);
    EXPECT_EQ(answer.moves, Moves()
                                .Packet(SL_HOOK_TC_FROM_POD, SL_DROP_NONE, answer.bytes)
                                .Egress(2, SL_DROP_NONE, answer.bytes)
                                .Count(SL_COUNTER_FLOW_NEW)
                                .Added("pending"));
    EXPECT_EQ(Initiator(), 1u);
    EXPECT_TRUE(FromPod(kWeb, ToDb(kAck)).forwarded);
    const auto flows = Flows();
    ASSERT_EQ(flows.size(), 1u);
    EXPECT_EQ(flows[0].entry.reply_packets, 1u);
    EXPECT_EQ(flows[0].entry.forward_packets, 1u);
  }
}

TEST_F(Orientation, TheServerSpeaksFirstInAForbiddenConnection) {
  Enforce(Isolate("db"));  // db itself may open any flow
  EXPECT_EQ(FromPod(kDb, ToWeb(kAck | kPsh)).reason, SL_DROP_POLICY_DENIED);
  EXPECT_EQ(FromPod(kWeb, ToDb(kAck)).reason, SL_DROP_POLICY_DENIED);
  EXPECT_EQ(FromPod(kDb, ToWeb(kSyn | kAck)).reason, SL_DROP_POLICY_DENIED);
  EXPECT_EQ(FromPod(kWeb, ToDb(kAck | kPsh)).reason, SL_DROP_POLICY_DENIED) << "as the answer of a flow of db's";
  const Packet v6 = Tcp6(kDbIp6, kWebIp6, 40000, kAck, 5432);
  EXPECT_EQ(FromPod(kDb, v6).reason, SL_DROP_POLICY_DENIED);
  EXPECT_TRUE(FromPod(kDb, Tcp4(kDbIp, kWebIp, 80, kSyn, 41000)).forwarded) << "its own";
}

TEST_F(Orientation, TheClientSpeaksFirst) {
  Enforce(DbPolicy() + Isolate("web"));
  EXPECT_TRUE(FromPod(kWeb, ToDb(kAck)).forwarded);
  EXPECT_EQ(Initiator(), 1u);
  EXPECT_EQ(FromPod(kOther, Tcp4(kOtherIp, kDbIp, 5432, kAck)).reason, SL_DROP_POLICY_DENIED);
}

TEST_F(Orientation, OnTheWireToo) {
  Enforce(Isolate("web"));
  EXPECT_TRUE(FromWire(Tcp4("198.51.100.1", kWebIp, 40000, kAck, 443)).forwarded) << "web may ask everybody";
  EXPECT_EQ(FromWire(Tcp4("198.51.100.1", kWebIp, 443, kAck, 40000)).reason, SL_DROP_POLICY_DENIED);
  EXPECT_EQ(FromWire(Tcp4("198.51.100.1", kWebIp, 40000, kSyn, 443)).reason, SL_DROP_POLICY_DENIED);
}

// When neither port, or both, look like a client's, policy has to allow both directions.
TEST_F(Orientation, PortsThatDoNotTellNeedBoth) {
  for (const auto& [client, server] : {std::pair<std::uint16_t, std::uint16_t>{40000, 50051}, {2000, 3000}}) {
    Enforce();
    ASSERT_TRUE(fixture_->ForgetFlows().ok());
    EXPECT_TRUE(FromPod(kWeb, Tcp4(kWebIp, kDbIp, server, kAck, client)).forwarded);
    ASSERT_TRUE(fixture_->ForgetFlows().ok());
    for (const char* isolated : {"web", "db"}) {
      Enforce(Isolate(isolated));
      EXPECT_EQ(FromPod(kWeb, Tcp4(kWebIp, kDbIp, server, kAck, client)).reason, SL_DROP_POLICY_DENIED) << isolated;
      EXPECT_EQ(FromPod(kDb, Tcp4(kDbIp, kWebIp, client, kAck, server)).reason, SL_DROP_POLICY_DENIED) << isolated;
      ASSERT_TRUE(fixture_->ForgetFlows().ok());
    }
    Enforce(Isolate("web"));
    EXPECT_TRUE(FromPod(kWeb, Tcp4(kWebIp, kDbIp, server, kSyn, client)).forwarded) << "a new one is a new one";
  }
}

TEST_F(Orientation, AnAnswerOpensNoDoorForASyn) {
  Enforce(DbPolicy() + Isolate("web"));
  ASSERT_TRUE(FromPod(kDb, ToWeb(kAck)).forwarded);
  EXPECT_EQ(FromPod(kDb, ToWeb(kSyn)).reason, SL_DROP_POLICY_DENIED) << "a connection of db's own";
  EXPECT_EQ(ToPod(kWeb, kDb, ToWeb(kSyn)).reason, SL_DROP_POLICY_DENIED) << "at the other hook too";
  EXPECT_TRUE(FromPod(kWeb, ToDb(kAck)).forwarded);
  EXPECT_TRUE(FromPod(kDb, ToWeb(kAck)).forwarded) << "the live one goes on";
}

TEST_F(Orientation, ASynAgainstALiveConnectionIsANewOne) {
  Enforce(DbPolicy() + Isolate("web"));
  ASSERT_TRUE(FromPod(kWeb, ToDb(kSyn)).forwarded);
  EXPECT_EQ(FromPod(kDb, ToWeb(kSyn)).reason, SL_DROP_POLICY_DENIED) << "before an answer";
  ASSERT_TRUE(FromPod(kDb, ToWeb(kSyn | kAck)).forwarded);
  ASSERT_TRUE(FromPod(kWeb, ToDb(kAck)).forwarded);
  EXPECT_EQ(FromPod(kDb, ToWeb(kSyn)).reason, SL_DROP_POLICY_DENIED);
  EXPECT_TRUE(FromPod(kDb, ToWeb(kAck | kPsh)).forwarded);
  Enforce(DbPolicy());
  EXPECT_TRUE(FromPod(kDb, ToWeb(kSyn)).forwarded) << "a simultaneous open, where policy allows both";
  EXPECT_TRUE(FromPod(kWeb, ToDb(kSyn)).forwarded);
}

// With db's address: a RST outside the window, which web ignores, or FINs without acknowledgement, and then a SYN.
TEST_F(Orientation, ASpoofedEndAndASynStopNothing) {
  const std::vector<std::vector<std::pair<bool, std::uint8_t>>> ends = {
      {{false, kRst}}, {{false, kRst | kAck}}, {{false, kFin | kAck}, {true, kFin | kAck}}};
  for (const auto& end : ends) {
    Enforce(DbPolicy() + Isolate("web"));
    ASSERT_TRUE(fixture_->ForgetFlows().ok());
    ASSERT_TRUE(FromPod(kWeb, ToDb(kSyn)).forwarded);
    ASSERT_TRUE(FromPod(kDb, ToWeb(kSyn | kAck)).forwarded);
    ASSERT_TRUE(FromPod(kWeb, ToDb(kAck)).forwarded);
    for (const auto& [from_web, flags] : end)
      ASSERT_TRUE((from_web ? FromPod(kWeb, ToDb(flags)) : FromPod(kDb, ToWeb(flags))).forwarded);
    for (int i = 0; i < 2; ++i) EXPECT_EQ(FromPod(kDb, ToWeb(kSyn)).reason, SL_DROP_POLICY_DENIED);
    EXPECT_TRUE(FromPod(kDb, ToWeb(kAck | kPsh)).forwarded);
    EXPECT_TRUE(FromPod(kWeb, ToDb(kAck)).forwarded);
    Enforce(DbPolicy());
    ASSERT_TRUE(FromPod(kDb, ToWeb(kRst)).forwarded);
    EXPECT_TRUE(FromPod(kDb, ToWeb(kSyn)).forwarded) << "who may opens a new one";
    const auto flows = Flows();
    EXPECT_TRUE(std::any_of(flows.begin(), flows.end(), [](const auto& flow) {
      return flow.state != datapath::FlowState::kDenied && flow.entry.initiator.endpoint == 2;
    }));
  }
}

TEST_F(Orientation, ADeniedSynDeniesNoAnswer) {
  Enforce(DbPolicy() + Isolate("web"));
  for (int i = 0; i < 2; ++i) EXPECT_EQ(FromPod(kDb, ToWeb(kSyn)).reason, SL_DROP_POLICY_DENIED);
  EXPECT_TRUE(FromPod(kDb, ToWeb(kAck | kPsh)).forwarded) << "of web's connection, which is older or was forgotten";
  EXPECT_EQ(Initiator(), 1u);
  // The same on the full path: IP options.
  ASSERT_TRUE(fixture_->ForgetFlows().ok());
  const auto with_options = [](std::uint8_t flags) {
    return Eth{} / Ipv4{.src = kDbIp, .dst = kWebIp, .option_words = 1} /
           Tcp{.sport = 5432, .dport = 40000, .flags = flags};
  };
  for (int i = 0; i < 2; ++i) EXPECT_EQ(FromPod(kDb, with_options(kSyn)).reason, SL_DROP_POLICY_DENIED);
  EXPECT_TRUE(FromPod(kDb, with_options(kAck)).forwarded);
}

TEST_F(Orientation, TheNodesAnswerIsNotTheNodesFlow) {
  const std::string closed = Policy("closed", "web", "  policyTypes: [Ingress, Egress]\n");
  Enforce(closed);
  EXPECT_EQ(ToPod(kWeb, kNode, Tcp4(kNodeIp, kWebIp, 40000, kAck, 6443)).reason, SL_DROP_POLICY_DENIED);
  EXPECT_EQ(FromPod(kWeb, Tcp4(kWebIp, kNodeIp, 6443, kAck, 40000)).reason, SL_DROP_POLICY_DENIED);
  EXPECT_TRUE(ToPod(kWeb, kNode, Tcp4(kNodeIp, kWebIp, 8080, kAck, 40000)).forwarded) << "a probe";
  EXPECT_TRUE(ToPod(kWeb, kNode, Tcp4(kNodeIp, kWebIp, 50051, kAck, 40000)).forwarded) << "a probe";
  Enforce(Isolate("web"));
  EXPECT_TRUE(ToPod(kWeb, kNode, Tcp4(kNodeIp, kWebIp, 40000, kAck, 6443)).forwarded) << "web may ask the node";
}

// The fixture has no sockets, so no question was sent.
TEST_F(Orientation, ADatagramThatNobodyAskedForIsNoAnswer) {
  Enforce(Isolate("web"));
  EXPECT_EQ(FromPod(kDb, Udp4(kDbIp, 53, kWebIp, 40000)).reason, SL_DROP_POLICY_DENIED);
  EXPECT_EQ(FromWire(Udp4("198.51.100.1", 53, kWebIp, 40000)).reason, SL_DROP_NONE) << "asked at tc_to_pod";
  EXPECT_EQ(ToPod(kWeb, kUplink, Udp4("198.51.100.1", 53, kWebIp, 40000)).reason, SL_DROP_POLICY_DENIED);
  EXPECT_TRUE(FromPod(kWeb, Udp4(kWebIp, 40000, kDbIp, 53)).forwarded);
  EXPECT_TRUE(FromPod(kDb, Udp4(kDbIp, 53, kWebIp, 40000)).forwarded) << "asked for";
}

// db answers every client, and sends no questions. Peers that are not workloads are in the block.
class Peers : public Orientation {
 protected:
  static std::string Dns() {
    return Policy("dns", "db",
                  "  policyTypes: [Ingress, Egress]\n"
                  "  ingress: [{from: [{ipBlock: {cidr: 10.0.0.0/24}}], ports: [{port: 53, protocol: UDP}]}]\n");
  }
  static Packet Question() { return Udp4(kWebIp, 40000, kDbIp, 53); }
  static Packet Answer() { return Udp4(kDbIp, 53, kWebIp, 40000); }
  void Know(const std::string& name, const std::string& policies) {
    Replace(kWeb, name);
    Enforce(policies);
  }
};

TEST_F(Peers, AWorkloadThatIsHeardOfWhileItsFlowLives) {
  Know("", Dns());
  ASSERT_TRUE(ToPod(kDb, kWeb, Question()).forwarded);
  Know("web", Dns() + Isolate("web"));
  EXPECT_TRUE(FromPod(kDb, Answer()).forwarded);
  EXPECT_TRUE(ToPod(kWeb, kDb, Answer()).forwarded);
  EXPECT_EQ(Initiator(), 1u) << "known by now";
  EXPECT_TRUE(FromPod(kWeb, Question()).forwarded);
}

TEST_F(Peers, AWorkloadThatGoesWhileItsFlowLives) {
  Know("web", Dns());
  ASSERT_TRUE(FromPod(kWeb, Question()).forwarded);
  Know("", Dns());
  EXPECT_TRUE(FromPod(kDb, Answer()).forwarded);
  Know("web", Dns() + Isolate("web"));
  EXPECT_TRUE(FromPod(kDb, Answer()).forwarded) << "and comes back";
}

TEST_F(Peers, AnotherWorkloadThatComesLaterInheritsNothing) {
  Know("web", Dns());
  ASSERT_TRUE(FromPod(kWeb, Question()).forwarded);
  Know("", Dns());
  ASSERT_TRUE(FromPod(kDb, Answer()).forwarded);
  Know("web-2", Dns() + Isolate("web"));
  EXPECT_EQ(FromPod(kDb, Answer()).reason, SL_DROP_POLICY_DENIED);
}

TEST_F(Peers, WhoIsHeardOfIsJudgedAsWhoHeIs) {
  Know("", Dns());
  ASSERT_TRUE(ToPod(kDb, kWeb, Question()).forwarded);
  Know("web", Isolate("db"));
  EXPECT_EQ(FromPod(kDb, Answer()).reason, SL_DROP_POLICY_DENIED);
  EXPECT_EQ(FromPod(kWeb, Question()).reason, SL_DROP_POLICY_DENIED);
}

// A virtual address; the agent only knows that a packet to it was led to db.
TEST_F(Peers, AnAnswerFromAnAddressThatIsNobodys) {
  const std::string policies = Policy("dns", "db",
                                      "  policyTypes: [Ingress, Egress]\n"
                                      "  ingress: [{ports: [{port: 53, protocol: UDP}]}]\n");
  Enforce(policies);
  const Packet question = Udp4("198.51.100.7", 40000, "10.0.0.77", 53);
  const Packet answer = Udp4("10.0.0.77", 53, "198.51.100.7", 40000);
  ASSERT_TRUE(ToPod(kDb, kElsewhere, question).forwarded);
  EXPECT_TRUE(FromPod(kDb, answer).forwarded);
  Enforce(policies + Isolate("other"));
  EXPECT_TRUE(FromPod(kDb, answer).forwarded) << "a policy changed, of somebody else";
  EXPECT_TRUE(ToPod(kDb, kElsewhere, question).forwarded);
  Enforce(Isolate("db"));
  EXPECT_FALSE(FromPod(kDb, answer).forwarded) << "not any more";
  ASSERT_TRUE(fixture_->ForgetFlows().ok());
  EXPECT_EQ(FromPod(kDb, answer).reason, SL_DROP_SPOOFED_SOURCE) << "in nobody's flow";
}

class Pings : public Orientation {
 protected:
  void SetUp() override {
    Orientation::SetUp();
    Enforce(Isolate("web"));  // which may send to all
  }
};

TEST_F(Pings, ARequestOfTheResponderIsAFlowOfItsOwn) {
  const struct { int request, reply; } kinds[] = {{8, 0}, {13, 14}, {15, 16}, {17, 18}, {42, 43}};
  for (const auto& kind : kinds) {
    SCOPED_TRACE(kind.request);
    ASSERT_TRUE(fixture_->ForgetFlows().ok());
    const auto request = static_cast<std::uint8_t>(kind.request), reply = static_cast<std::uint8_t>(kind.reply);
    ASSERT_TRUE(FromPod(kWeb, Icmp4(kWebIp, kDbIp, request)).forwarded);
    EXPECT_TRUE(FromPod(kDb, Icmp4(kDbIp, kWebIp, reply)).forwarded);
    EXPECT_EQ(FromPod(kDb, Icmp4(kDbIp, kWebIp, request)).reason, SL_DROP_POLICY_DENIED) << "its own";
    EXPECT_EQ(FromPod(kWeb, Icmp4(kWebIp, kDbIp, reply)).reason, SL_DROP_POLICY_DENIED) << "nobody may ask web";
    EXPECT_TRUE(FromPod(kDb, Icmp4(kDbIp, kWebIp, reply)).forwarded);
    EXPECT_TRUE(FromPod(kWeb, Icmp4(kWebIp, kDbIp, request)).forwarded);
  }
  for (const int request : {128, 139, 160}) {
    SCOPED_TRACE(request);
    const auto type = static_cast<std::uint8_t>(request), reply = static_cast<std::uint8_t>(request + 1);
    ASSERT_TRUE(FromPod(kWeb, Icmp6(kWebIp6, kDbIp6, type)).forwarded);
    EXPECT_TRUE(FromPod(kDb, Icmp6(kDbIp6, kWebIp6, reply)).forwarded);
    EXPECT_EQ(FromPod(kDb, Icmp6(kDbIp6, kWebIp6, type)).reason, SL_DROP_POLICY_DENIED);
  }
}

TEST_F(Pings, MessagesThatAnswerNothing) {
  for (const int type : {10, 19, 40, 200}) {
    SCOPED_TRACE(type);
    EXPECT_TRUE(FromPod(kWeb, Icmp4(kWebIp, kDbIp, static_cast<std::uint8_t>(type))).forwarded);
    EXPECT_FALSE(FromPod(kDb, Icmp4(kDbIp, kWebIp, static_cast<std::uint8_t>(type))).forwarded);
  }
}

TEST_F(Pings, BothMayAskAtOnceWhereBothMay) {
  Enforce();
  for (int round = 0; round < 2; ++round) {
    EXPECT_TRUE(FromPod(kWeb, Icmp4(kWebIp, kDbIp, 8)).forwarded);
    EXPECT_TRUE(FromPod(kDb, Icmp4(kDbIp, kWebIp, 8)).forwarded);
    EXPECT_TRUE(FromPod(kDb, Icmp4(kDbIp, kWebIp, 0)).forwarded);
    EXPECT_TRUE(FromPod(kWeb, Icmp4(kWebIp, kDbIp, 0)).forwarded);
  }
  const auto flows = Flows();
  ASSERT_EQ(flows.size(), 2u);
  for (const auto& flow : flows) {
    EXPECT_EQ(flow.entry.forward_packets, 2u);
    EXPECT_EQ(flow.entry.reply_packets, 2u);
  }
}

TEST_F(Pings, AReplyWithoutARequestIsTheOtherEndsFlow) {
  EXPECT_TRUE(FromPod(kDb, Icmp4(kDbIp, kWebIp, 0)).forwarded) << "web may ask db";
  EXPECT_EQ(Initiator(), 1u);
  EXPECT_EQ(FromPod(kWeb, Icmp4(kWebIp, kOtherIp, 0)).reason, SL_DROP_POLICY_DENIED) << "other may not ask web";
}

TEST_F(Pings, AFragmentedReplyIsOne) {
  const auto fragment = [](std::uint16_t offset, bool more) {
    return Eth{} /
           Ipv4{.src = kDbIp, .dst = kWebIp, .protocol = 1, .id = 9, .fragment_offset = offset, .more_fragments = more};
  };
  ASSERT_TRUE(FromPod(kWeb, Icmp4(kWebIp, kDbIp, 8)).forwarded);
  EXPECT_TRUE(FromPod(kDb, fragment(0, true) / Icmp{.type = 0, .id = 77} / Payload{64}).forwarded);
  EXPECT_TRUE(FromPod(kDb, fragment(9, false) / Payload{64}).forwarded);
  EXPECT_EQ(Flows().size(), 1u);
}

TEST_F(Pings, AnErrorAboutAReply) {
  ASSERT_TRUE(FromPod(kWeb, Icmp4(kWebIp, kDbIp, 8)).forwarded);
  const Packet reply = Icmp4(kDbIp, kWebIp, 0);
  ASSERT_TRUE(FromPod(kDb, reply).forwarded);
  EXPECT_TRUE(
      FromPod(kWeb, Eth{} / Ipv4{.src = kWebIp, .dst = kDbIp} / Icmp{.type = 3, .code = 1} / Raw{reply.ToQuote(28)})
          .forwarded);
}

}  // namespace
}  // namespace sluice::test
