// The programs as pure functions: one frame in; a verdict, one counter, and a flow entry out.
#include <gtest/gtest.h>

#include "policy/network/snapshot.h"
#include "tests/support/program_fixture.h"

namespace sluice::test {
namespace {

using policy::Address;

std::shared_ptr<policy::NetworkPolicy> AllowIngress(const std::string& name, policy::Labels to, policy::Labels from,
                                                    std::uint16_t port) {
  auto result = std::make_shared<policy::NetworkPolicy>();
  result->name = {"shop", name};
  const auto selector = [](const policy::Labels& labels) {
    policy::Selector s;
    for (const auto& [key, value] : labels) s.requirements.push_back({key, policy::Selector::Operator::kIn, {value}});
    return s;
  };
  result->pod_selector = selector(to);
  result->applies_to_ingress = true;
  policy::Rule rule;
  policy::Peer peer;
  peer.pod_selector = selector(from);
  rule.peers.push_back(peer);
  rule.ports.push_back({policy::kTcp, port, {}, ""});
  result->ingress.push_back(rule);
  return result;
}

class Programs : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    auto fixture = ProgramFixture::Create();
    ASSERT_TRUE(fixture.ok()) << fixture.status();
    fixture_ = std::move(*fixture).release();
  }
  static void TearDownTestSuite() { delete fixture_; }

  void SetUp() override {
    ASSERT_TRUE(fixture_->ForgetFlows().ok());
    fixture_->SetClock(1000);
    Enforce({AllowIngress("db", {{"app", "db"}}, {{"app", "web"}}, 5432)});
  }

  // web 10.0.0.1 at p0, db 10.0.0.2 at p1, other 10.0.0.3 at p2, remote 10.0.1.1; each also fd00::<last>.
  void Enforce(std::vector<std::shared_ptr<const policy::NetworkPolicy>> policies) {
    policy::ResourceMap resources;
    std::map<policy::ObjectName, policy::Binding> bindings;
    const auto add = [&](const std::string& app, const std::string& v4, const std::string& v6, int interface) {
      auto workload = std::make_shared<policy::Workload>();
      workload->name = {"shop", app};
      workload->labels = {{"app", app}};
      workload->ips = {*Address::Parse(v4), *Address::Parse(v6)};
      policy::Resource resource;
      resource.id = {policy::Kind::kWorkload, workload->name};
      resource.workload = workload;
      resources[resource.id] = resource;
      if (interface >= 0)
        bindings[workload->name] = {fixture_->ifindex(interface), static_cast<std::uint32_t>(interface + 1),
                                    workload->ips};
    };
    add("web", "10.0.0.1", "fd00::1", 0);
    add("db", "10.0.0.2", "fd00::2", 1);
    add("other", "10.0.0.3", "fd00::3", 2);
    add("remote", "10.0.1.1", "fd00:1::1", -1);
    for (const auto& policy : policies) {
      policy::Resource resource;
      resource.id = {policy::Kind::kNetworkPolicy, policy->name};
      resource.policy = policy;
      resources[resource.id] = resource;
    }
    auto snapshot = policy::Snapshot::Build(resources, bindings, {*Address::Parse("10.0.0.254")});
    ASSERT_TRUE(snapshot.ok()) << snapshot.status();
    const Status status = fixture_->Enforce(*snapshot);
    ASSERT_TRUE(status.ok()) << status;
  }

  ProgramFixture::Verdict FromPod(int interface, const Packet& packet) {
    auto verdict = fixture_->FromPod(fixture_->ifindex(interface), packet.ToFrame());
    EXPECT_TRUE(verdict.ok()) << verdict.status();
    return verdict.ok() ? *verdict : ProgramFixture::Verdict{};
  }
  ProgramFixture::Verdict ToPod(int interface, int from, const Packet& packet) {
    auto verdict =
        fixture_->ToPod(fixture_->ifindex(interface), from < 0 ? 0 : fixture_->ifindex(from), packet.ToFrame());
    EXPECT_TRUE(verdict.ok()) << verdict.status();
    return verdict.ok() ? *verdict : ProgramFixture::Verdict{};
  }
  std::vector<datapath::FlowRecord> Flows() {
    auto flows = fixture_->datapath().Flows();
    EXPECT_TRUE(flows.ok()) << flows.status();
    return flows.ok() ? *flows : std::vector<datapath::FlowRecord>{};
  }

  static Packet Syn(const std::string& src, const std::string& dst, std::uint16_t port, std::uint16_t sport = 40000) {
    return Eth{} / Ipv4{.src = src, .dst = dst} / Tcp{.sport = sport, .dport = port};
  }

  static ProgramFixture* fixture_;
};

ProgramFixture* Programs::fixture_ = nullptr;

TEST_F(Programs, AllowedFlowIsForwardedAndTracked) {
  EXPECT_TRUE(FromPod(0, Syn("10.0.0.1", "10.0.0.2", 5432)).forwarded);
  const auto flows = Flows();
  ASSERT_EQ(flows.size(), 1u);
  EXPECT_EQ(flows[0].state, datapath::FlowState::kPending);
  EXPECT_EQ(flows[0].entry.forward_packets, 1u);
  EXPECT_EQ(flows[0].entry.forward_bytes, 40u);
  EXPECT_EQ(flows[0].entry.initiator.endpoint, 1u);
  EXPECT_EQ(flows[0].entry.responder.endpoint, 2u);
  EXPECT_NE(flows[0].entry.ingress_decision, 0u);
}

TEST_F(Programs, DeniedFlowIsDroppedWithItsReason) {
  const auto verdict = FromPod(2, Syn("10.0.0.3", "10.0.0.2", 5432));
  EXPECT_FALSE(verdict.forwarded);
  EXPECT_EQ(verdict.reason, SL_DROP_POLICY_DENIED);
  const auto flows = Flows();
  ASSERT_EQ(flows.size(), 1u);
  EXPECT_EQ(flows[0].state, datapath::FlowState::kDenied);
}

TEST_F(Programs, WrongPortIsDenied) {
  EXPECT_FALSE(FromPod(0, Syn("10.0.0.1", "10.0.0.2", 5433)).forwarded);
  EXPECT_FALSE(FromPod(0, Eth{} / Ipv4{.src = "10.0.0.1", .dst = "10.0.0.2"} / Udp{.dport = 5432}).forwarded);
}

TEST_F(Programs, SpoofedSourceIsDropped) {
  EXPECT_EQ(FromPod(2, Syn("10.0.0.1", "10.0.0.2", 5432)).reason, SL_DROP_SPOOFED_SOURCE);
  EXPECT_EQ(FromPod(2, Syn("8.8.8.8", "10.0.0.1", 80)).reason, SL_DROP_SPOOFED_SOURCE);
}

TEST_F(Programs, SpoofingAKnownFlowIsDroppedAndLeavesTheFlowAlone) {
  ASSERT_TRUE(FromPod(0, Syn("10.0.0.1", "10.0.0.2", 5432)).forwarded);
  EXPECT_EQ(FromPod(2, Syn("10.0.0.1", "10.0.0.2", 5432)).reason, SL_DROP_SPOOFED_SOURCE);
  EXPECT_TRUE(FromPod(1, Eth{} / Ipv4{.src = "10.0.0.2", .dst = "10.0.0.1"} /
                             Tcp{.sport = 5432, .dport = 40000, .flags = kSyn | kAck})
                  .forwarded);
}

TEST_F(Programs, InterfaceOfNobodyIsClosed) {
  EXPECT_EQ(FromPod(7, Syn("10.9.9.9", "10.0.0.2", 5432)).reason, SL_DROP_UNKNOWN_ENDPOINT);
  EXPECT_EQ(ToPod(7, 0, Syn("10.0.0.1", "10.9.9.9", 5432)).reason, SL_DROP_UNKNOWN_ENDPOINT);
}

TEST_F(Programs, ReplyOfAnAllowedFlowPassesAnIsolatedPod) {
  // Isolate web's ingress too, so that db may open nothing to web.
  Enforce({AllowIngress("db", {{"app", "db"}}, {{"app", "web"}}, 5432),
           AllowIngress("web", {{"app", "web"}}, {{"app", "none"}}, 1)});
  const Packet reply =
      Eth{} / Ipv4{.src = "10.0.0.2", .dst = "10.0.0.1"} / Tcp{.sport = 5432, .dport = 40000, .flags = kSyn | kAck};
  const Packet syn =
      Eth{} / Ipv4{.src = "10.0.0.2", .dst = "10.0.0.1"} / Tcp{.sport = 5432, .dport = 40000, .flags = kSyn};
  EXPECT_FALSE(FromPod(1, syn).forwarded);
  ASSERT_TRUE(fixture_->ForgetFlows().ok());
  ASSERT_TRUE(FromPod(0, Syn("10.0.0.1", "10.0.0.2", 5432)).forwarded);
  EXPECT_TRUE(FromPod(1, reply).forwarded);
  const auto flows = Flows();
  ASSERT_EQ(flows.size(), 1u);
  EXPECT_EQ(flows[0].state, datapath::FlowState::kPending);
  EXPECT_EQ(flows[0].entry.reply_packets, 1u);
}

TEST_F(Programs, RevokedAllowCutsTheFlowInBothDirectionsAndItStaysCut) {
  const Packet reply =
      Eth{} / Ipv4{.src = "10.0.0.2", .dst = "10.0.0.1"} / Tcp{.sport = 5432, .dport = 40000, .flags = kAck};
  const Packet data =
      Eth{} / Ipv4{.src = "10.0.0.1", .dst = "10.0.0.2"} / Tcp{.sport = 40000, .dport = 5432, .flags = kAck};
  ASSERT_TRUE(FromPod(0, Syn("10.0.0.1", "10.0.0.2", 5432)).forwarded);
  ASSERT_TRUE(FromPod(1, reply).forwarded);
  Enforce({AllowIngress("db", {{"app", "db"}}, {{"app", "other"}}, 5432)});
  EXPECT_EQ(FromPod(1, reply).reason, SL_DROP_POLICY_DENIED);
  EXPECT_EQ(FromPod(0, data).reason, SL_DROP_POLICY_DENIED);
  Enforce({AllowIngress("db", {{"app", "db"}}, {{"app", "web"}}, 5432)});
  EXPECT_TRUE(FromPod(0, data).forwarded);
}

TEST_F(Programs, UnrelatedChangeLeavesTheFlow) {
  ASSERT_TRUE(FromPod(0, Syn("10.0.0.1", "10.0.0.2", 5432)).forwarded);
  Enforce({AllowIngress("db", {{"app", "db"}}, {{"app", "web"}}, 5432),
           AllowIngress("x", {{"app", "other"}}, {{"app", "web"}}, 1)});
  EXPECT_TRUE(FromPod(1, Eth{} / Ipv4{.src = "10.0.0.2", .dst = "10.0.0.1"} /
                             Tcp{.sport = 5432, .dport = 40000, .flags = kSyn | kAck})
                  .forwarded);
}

TEST_F(Programs, NodeReachesAnIsolatedPodAndForwardedTrafficDoesNot) {
  const Packet probe = Syn("10.0.0.254", "10.0.0.2", 9999);
  EXPECT_TRUE(ToPod(1, -1, probe).forwarded);
  ASSERT_TRUE(fixture_->ForgetFlows().ok());
  EXPECT_EQ(ToPod(1, 7, probe).reason, SL_DROP_POLICY_DENIED);
}

TEST_F(Programs, PodReachesItself) { EXPECT_TRUE(FromPod(1, Syn("10.0.0.2", "10.0.0.2", 9999)).forwarded); }

TEST_F(Programs, FragmentsFollowTheFirst) {
  const auto fragment = [](std::uint16_t offset, bool more, std::uint16_t id) {
    return Ipv4{.src = "10.0.0.1",
                .dst = "10.0.0.2",
                .protocol = 6,
                .id = id,
                .fragment_offset = offset,
                .more_fragments = more};
  };
  EXPECT_EQ(FromPod(0, Eth{} / fragment(10, true, 77) / Payload{64}).reason, SL_DROP_FRAGMENT_NOT_FOUND);
  EXPECT_TRUE(FromPod(0, Eth{} / fragment(0, true, 78) / Tcp{.dport = 5432} / Payload{60}).forwarded);
  EXPECT_TRUE(FromPod(0, Eth{} / fragment(10, false, 78) / Payload{64}).forwarded);
  EXPECT_FALSE(FromPod(0, Eth{} / fragment(0, true, 79) / Tcp{.dport = 5433} / Payload{60}).forwarded);
  EXPECT_EQ(FromPod(0, Eth{} / fragment(10, false, 79) / Payload{64}).reason, SL_DROP_POLICY_DENIED);
}

TEST_F(Programs, IcmpErrorPassesByTheTupleItQuotes) {
  Enforce({AllowIngress("db", {{"app", "db"}}, {{"app", "web"}}, 5432),
           AllowIngress("web", {{"app", "web"}}, {{"app", "none"}}, 1)});
  const auto error = [](const std::string& from, const Packet& about) {
    return Eth{} / Ipv4{.src = from, .dst = "10.0.0.1"} / Icmp{.type = 3, .code = 4} / Raw{about.ToQuote(28)};
  };
  const Packet syn = Syn("10.0.0.1", "10.0.0.2", 5432);
  EXPECT_EQ(FromPod(1, error("10.0.0.2", syn)).reason, SL_DROP_POLICY_DENIED);
  ASSERT_TRUE(FromPod(0, syn).forwarded);
  EXPECT_TRUE(FromPod(1, error("10.0.0.2", syn)).forwarded);
  EXPECT_FALSE(FromPod(2, error("10.0.0.3", syn)).forwarded) << "not a party of that flow";
  EXPECT_FALSE(FromPod(1, error("10.0.0.2", Syn("10.0.0.1", "10.0.0.2", 9))).forwarded) << "no such flow";
}

TEST_F(Programs, WireIsJudgedForLocalPodsOnly) {
  auto verdict = fixture_->FromWire(Syn("10.0.1.1", "10.0.0.2", 5432).ToFrame());
  ASSERT_TRUE(verdict.ok()) << verdict.status();
  EXPECT_EQ(verdict->reason, SL_DROP_POLICY_DENIED);
  verdict = fixture_->FromWire(Syn("10.0.1.1", "10.0.0.1", 80).ToFrame());
  ASSERT_TRUE(verdict.ok()) << verdict.status();
  EXPECT_TRUE(verdict->forwarded);
  verdict = fixture_->FromWire(Syn("10.0.1.1", "10.5.5.5", 80).ToFrame());
  ASSERT_TRUE(verdict.ok()) << verdict.status();
  EXPECT_TRUE(verdict->forwarded);
  verdict = fixture_->FromWire(Syn("10.0.0.1", "10.0.0.2", 5432).ToFrame());
  ASSERT_TRUE(verdict.ok()) << verdict.status();
  EXPECT_EQ(verdict->reason, SL_DROP_SPOOFED_SOURCE);
}

TEST_F(Programs, EightExtensionHeadersAreExaminedAndNineAreTooMany) {
  Packet packet = Eth{} / Ipv6{.src = "fd00::1", .dst = "fd00::2"};
  for (int i = 0; i < 8; ++i) packet = packet / Ipv6Option{.header = static_cast<std::uint8_t>(i == 0 ? 0 : 60)};
  EXPECT_TRUE(FromPod(0, packet / Tcp{.dport = 5432}).forwarded);
  EXPECT_EQ(FromPod(0, packet / Ipv6Option{.header = 60} / Tcp{.dport = 5432}).reason, SL_DROP_TOO_MANY_HEADERS);
}

TEST_F(Programs, IdleFlowIsForgotten) {
  Enforce({AllowIngress("web", {{"app", "web"}}, {{"app", "none"}}, 1)});
  const Packet query = Eth{} / Ipv4{.src = "10.0.0.1", .dst = "10.0.0.3"} / Udp{.sport = 5000, .dport = 53};
  const Packet answer = Eth{} / Ipv4{.src = "10.0.0.3", .dst = "10.0.0.1"} / Udp{.sport = 53, .dport = 5000};
  ASSERT_TRUE(FromPod(0, query).forwarded);
  fixture_->SetClock(1029);
  EXPECT_TRUE(FromPod(2, answer).forwarded);
  fixture_->SetClock(1029 + 181);
  EXPECT_EQ(FromPod(2, answer).reason, SL_DROP_POLICY_DENIED);
}

}  // namespace
}  // namespace sluice::test
