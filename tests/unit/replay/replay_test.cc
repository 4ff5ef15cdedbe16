#include "ctrl/replay/replay.h"

#include <gmock/gmock.h>

#include "testbed/packet.h"
#include "tests/unit/policy/world.h"

namespace sluice::replay {
namespace {

using namespace test;  // the layers of packets
using policy::PolicyYaml;
using policy::SluicePolicyYaml;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Pair;
using ::testing::SizeIs;

constexpr char kDbFromWeb[] =
    "podSelector: {matchLabels: {app: db}}, ingress: [{from: [{podSelector: {matchLabels: {app: web}}}], ports: "
    "[{port: 5432}]}]";
constexpr char kVault[] = "10.0.1.2";

class ReplayTest : public ::testing::Test {
 protected:
  void Add(double seconds, const Packet& packet) { frames_.push_back({seconds, packet.ToFrame()}); }
  void AddTcp(double seconds, const char* from, int sport, const char* to, int dport, std::uint8_t flags) {
    Add(seconds, Eth{} / Ipv4{.src = from, .dst = to} /
                     Tcp{.sport = static_cast<std::uint16_t>(sport),
                         .dport = static_cast<std::uint16_t>(dport),
                         .flags = flags});
  }
  void AddUdp(double seconds, const char* from, int sport, const char* to, int dport) {
    Add(seconds, Eth{} / Ipv4{.src = from, .dst = to} /
                     Udp{.sport = static_cast<std::uint16_t>(sport), .dport = static_cast<std::uint16_t>(dport)});
  }

  // Frames are cut after `snaplen` bytes.
  std::vector<ReplayedFlow> Run(std::size_t snaplen = SIZE_MAX) {
    Replay replay(scenario_.compiled().snapshot);
    for (const auto& [seconds, frame] : frames_) {
      CapturedFrame captured;
      captured.time_ns = static_cast<std::uint64_t>(seconds * 1e9) + 1'000'000'000;
      captured.bytes = std::span(frame).first(std::min(snaplen, frame.size()));
      captured.original_length = static_cast<std::uint32_t>(frame.size());
      replay.Add(captured);
    }
    auto flows = replay.Finish();
    skipped_ = replay.skipped();
    return flows;
  }

  // "10.0.0.1:40000 10.0.0.2:5432 allowed 1+1"
  static std::string Short(const ReplayedFlow& flow) {
    return fmt::format("{}:{} {}:{} {} {}+{}", flow.flow.source.ToString(), flow.source_port,
                       flow.flow.destination.ToString(), flow.flow.port,
                       !flow.evaluation.allowed       ? "denied"
                       : flow.evaluation.audit_denied ? "audit"
                                                      : "allowed",
                       flow.forward_packets, flow.backward_packets);
  }
  std::vector<std::string> RunShort() {
    std::vector<std::string> out;
    for (const ReplayedFlow& flow : Run()) out.push_back(Short(flow));
    return out;
  }

  policy::World scenario_;
  std::vector<std::pair<double, Frame>> frames_;
  Replay::Skipped skipped_;
};

TEST_F(ReplayTest, AllowedDeniedAndAudit) {
  scenario_.Apply(PolicyYaml("shop", "db", kDbFromWeb));
  scenario_.Apply(SluicePolicyYaml("bank", "trial", "podSelector: {matchLabels: {app: vault}}, mode: Audit"));
  AddTcp(0, kWeb, 40000, kDb, 5432, kSyn);
  AddTcp(1, kWeb, 40001, kDb, 22, kSyn);
  AddTcp(2, kVault, 40002, kDb, 5432, kSyn);
  AddTcp(3, kWeb, 40003, kVault, 80, kSyn);
  const auto flows = Run();
  ASSERT_THAT(flows, SizeIs(4));
  EXPECT_EQ(Short(flows[0]), "10.0.0.1:40000 10.0.0.2:5432 allowed 1+0");
  EXPECT_EQ(Short(flows[1]), "10.0.0.1:40001 10.0.0.2:22 denied 1+0");
  EXPECT_EQ(Short(flows[2]), "10.0.1.2:40002 10.0.0.2:5432 denied 1+0");
  EXPECT_EQ(Short(flows[3]), "10.0.0.1:40003 10.0.1.2:80 audit 1+0");
  EXPECT_EQ(flows[0].evaluation.ingress->contributions[0].rule, "ingress[0]");
  EXPECT_EQ(flows[1].evaluation.ingress->contributions[0].effect, policy::Effect::kDefaultDeny);
  EXPECT_EQ(flows[0].first_ns, 1'000'000'000U);
}

TEST_F(ReplayTest, RepliesBelongToTheirFlow) {
  scenario_.Apply(PolicyYaml("shop", "web", "podSelector: {matchLabels: {app: web}}, policyTypes: [Ingress]"));
  AddTcp(0, kWeb, 40000, kDb, 5432, kSyn);
  AddTcp(0.1, kDb, 5432, kWeb, 40000, kSyn | kAck);
  AddTcp(0.2, kWeb, 40000, kDb, 5432, kAck);
  AddUdp(1, kWeb, 40000, kDb, 53);
  AddUdp(1.1, kDb, 53, kWeb, 40000);
  const auto flows = Run();
  ASSERT_THAT(flows, SizeIs(2));
  EXPECT_EQ(Short(flows[0]), "10.0.0.1:40000 10.0.0.2:5432 allowed 2+1");
  EXPECT_EQ(flows[0].forward_bytes, 2U * 40);
  EXPECT_EQ(flows[0].backward_bytes, 40U);
  EXPECT_EQ(flows[0].tcp_flags, kSyn);
  EXPECT_EQ(flows[0].last_ns - flows[0].first_ns, 200'000'000U);
  EXPECT_EQ(Short(flows[1]), "10.0.0.1:40000 10.0.0.2:53 allowed 1+1");
}

TEST_F(ReplayTest, SynAckWithoutItsSynIsAnAnswer) {
  scenario_.Apply(PolicyYaml("shop", "web", "podSelector: {matchLabels: {app: web}}, policyTypes: [Ingress]"));
  AddTcp(0, kDb, 45432, kWeb, 40000, kSyn | kAck);
  const auto flows = Run();
  ASSERT_THAT(flows, SizeIs(1));
  EXPECT_EQ(Short(flows[0]), "10.0.0.1:40000 10.0.0.2:45432 allowed 0+1");
  EXPECT_FALSE(flows[0].joined_midway);
}

TEST_F(ReplayTest, FlowJoinedMidwayWasOpenedByTheClient) {
  scenario_.Apply(PolicyYaml("shop", "db", kDbFromWeb));
  AddTcp(0, kDb, 5432, kWeb, 40000, kAck);
  AddTcp(0.1, kWeb, 40000, kDb, 5432, kAck | kPsh);
  AddTcp(1, kWeb, 40001, kDb, 5432, kAck);
  const auto flows = Run();
  ASSERT_THAT(flows, SizeIs(2));
  EXPECT_EQ(Short(flows[0]), "10.0.0.1:40000 10.0.0.2:5432 allowed 1+1");
  EXPECT_TRUE(flows[0].joined_midway);
  EXPECT_EQ(Short(flows[1]), "10.0.0.1:40001 10.0.0.2:5432 allowed 1+0");
  EXPECT_TRUE(flows[1].joined_midway);
}

TEST_F(ReplayTest, SynAfterTheEndBeginsAnew) {
  AddTcp(0, kWeb, 40000, kDb, 5432, kSyn);
  AddTcp(0.1, kDb, 5432, kWeb, 40000, kRst | kAck);
  AddTcp(0.2, kWeb, 40000, kDb, 5432, kSyn);
  AddTcp(0.3, kDb, 5432, kWeb, 40000, kSyn | kAck);
  AddTcp(0.4, kWeb, 40000, kDb, 5432, kFin | kAck);
  AddTcp(0.5, kWeb, 40000, kDb, 5432, kSyn);  // half closed: does not belong to the connection
  AddTcp(0.6, kDb, 5432, kWeb, 40000, kFin | kAck);
  AddTcp(0.7, kWeb, 40000, kDb, 5432, kAck);  // the last packet of the old connection
  AddTcp(0.8, kWeb, 40000, kDb, 5432, kSyn);
  EXPECT_THAT(RunShort(),
              ElementsAre("10.0.0.1:40000 10.0.0.2:5432 allowed 1+1", "10.0.0.1:40000 10.0.0.2:5432 allowed 4+2",
                          "10.0.0.1:40000 10.0.0.2:5432 allowed 1+0"));
}

TEST_F(ReplayTest, TimeoutsSplitFlows) {
  AddUdp(0, kWeb, 40000, kDb, 53);
  AddUdp(30, kWeb, 40000, kDb, 53);    // one way: 30 s
  AddUdp(60.1, kDb, 53, kWeb, 40000);  // too late to be its answer
  AddUdp(61, kWeb, 40000, kDb, 53);    // answers the previous one
  AddUdp(61.5, kDb, 53, kWeb, 40000);  // and continues: 180 s
  AddUdp(241.4, kDb, 53, kWeb, 40000);
  EXPECT_THAT(RunShort(),
              ElementsAre("10.0.0.1:40000 10.0.0.2:53 allowed 2+0", "10.0.0.2:53 10.0.0.1:40000 allowed 3+1"));
}

TEST_F(ReplayTest, AnAnswersSynAndEachEndsPingsAreFlowsOfTheirOwn) {
  scenario_.Apply(PolicyYaml("shop", "web", "podSelector: {matchLabels: {app: web}}, policyTypes: [Ingress]"));
  AddTcp(0, kDb, 5432, kWeb, 40000, kAck);
  AddTcp(1, kDb, 5432, kWeb, 40000, kSyn);
  Add(2, Eth{} / Ipv4{.src = kWeb, .dst = kDb} / Icmp{.type = 8, .id = 7});
  Add(3, Eth{} / Ipv4{.src = kDb, .dst = kWeb} / Icmp{.type = 8, .id = 7});
  Add(4, Eth{} / Ipv4{.src = kDb, .dst = kWeb} / Icmp{.type = 0, .id = 7});
  EXPECT_THAT(RunShort(),
              ElementsAre("10.0.0.1:40000 10.0.0.2:5432 allowed 0+1", "10.0.0.2:5432 10.0.0.1:40000 denied 1+0",
                          "10.0.0.1:7 10.0.0.2:0 allowed 1+1", "10.0.0.2:7 10.0.0.1:0 denied 1+0"));
}

TEST_F(ReplayTest, TimeThatGoesBackwardsEndsNothing) {
  AddUdp(100, kWeb, 40000, kDb, 53);
  AddUdp(0, kWeb, 40000, kDb, 53);
  EXPECT_THAT(RunShort(), ElementsAre("10.0.0.1:40000 10.0.0.2:53 allowed 2+0"));
}

TEST_F(ReplayTest, FlowsAreInTheOrderOfTheirFirstPackets) {
  AddUdp(0, kVault, 1, kDb, 53);
  AddUdp(1, kWeb, 2, kDb, 53);
  AddUdp(40, kVault, 1, kDb, 53);
  EXPECT_THAT(RunShort(), ElementsAre("10.0.1.2:1 10.0.0.2:53 allowed 1+0", "10.0.0.1:2 10.0.0.2:53 allowed 1+0",
                                      "10.0.1.2:1 10.0.0.2:53 allowed 1+0"));
}

TEST_F(ReplayTest, LaterFragmentsFollowTheFirst) {
  scenario_.Apply(PolicyYaml("shop", "db",
                             "podSelector: {matchLabels: {app: db}}, ingress: [{ports: [{port: 53, protocol: UDP}]}]"));
  Add(0, Eth{} / Ipv4{.src = kWeb, .dst = kDb, .id = 7, .more_fragments = true} / Udp{.dport = 53} / Payload{16});
  Add(0.1, Eth{} / Ipv4{.src = kWeb, .dst = kDb, .protocol = 17, .id = 7, .fragment_offset = 3} / Payload{16});
  Add(0.2, Eth{} / Ipv4{.src = kWeb, .dst = kDb, .protocol = 17, .id = 8, .fragment_offset = 3} / Payload{16});
  Add(1, Eth{} / Ipv6{.src = "fd00::1", .dst = "fd00::2"} / Ipv6Fragment{.id = 9} / Udp{.dport = 53} / Payload{16});
  Add(1.1, Eth{} / Ipv6{.src = "fd00::1", .dst = "fd00::2"} /
               Ipv6Fragment{.id = 9, .offset = 3, .more = false, .next = 17} / Payload{16});
  EXPECT_THAT(RunShort(),
              ElementsAre("10.0.0.1:40000 10.0.0.2:53 allowed 2+0", "fd00::1:40000 fd00::2:53 allowed 2+0"));
  EXPECT_THAT(skipped_.unparsable, ElementsAre(Pair(SL_DROP_FRAGMENT_NOT_FOUND, 1)));
}

TEST_F(ReplayTest, IcmpErrorGoesWithItsFlow) {
  scenario_.Apply(PolicyYaml("shop", "web", "podSelector: {matchLabels: {app: web}}, policyTypes: [Ingress]"));
  const Packet question = Eth{} / Ipv4{.src = kWeb, .dst = kDb} / Udp{.dport = 53} / Payload{};
  Add(0, question);
  Add(0.1, Eth{} / Ipv4{.src = "198.51.100.1", .dst = kWeb} / Icmp{.type = 3, .code = 3} / Raw{question.ToQuote(28)});
  EXPECT_THAT(RunShort(), ElementsAre("10.0.0.1:40000 10.0.0.2:53 allowed 1+0"));
}

TEST_F(ReplayTest, IcmpErrorAboutNothingRecordedIsAFlow) {
  scenario_.Apply(PolicyYaml("shop", "web", "podSelector: {matchLabels: {app: web}}, policyTypes: [Ingress]"));
  const Packet question = Eth{} / Ipv4{.src = kWeb, .dst = kDb} / Udp{.dport = 53} / Payload{};
  Add(0, Eth{} / Ipv4{.src = "198.51.100.1", .dst = kWeb} / Icmp{.type = 3, .code = 3} / Raw{question.ToQuote(28)});
  EXPECT_THAT(RunShort(), ElementsAre("198.51.100.1:0 10.0.0.1:0 denied 1+0"));
}

TEST_F(ReplayTest, EchoAndItsReplyAreOneFlow) {
  Add(0, Eth{} / Ipv4{.src = kWeb, .dst = kDb} / Icmp{.type = 8, .id = 5});
  Add(0.1, Eth{} / Ipv4{.src = kDb, .dst = kWeb} / Icmp{.type = 0, .id = 5});
  Add(1, Eth{} / Ipv4{.src = kWeb, .dst = kDb} / Icmp{.type = 8, .id = 6});
  const auto flows = Run();
  ASSERT_THAT(flows, SizeIs(2));
  EXPECT_EQ(flows[0].forward_packets, 1U);
  EXPECT_EQ(flows[0].backward_packets, 1U);
  EXPECT_EQ(flows[0].icmp_type, 8);
  EXPECT_EQ(flows[0].flow.port, 0U);
}

TEST_F(ReplayTest, VlanTagsAreLookedThrough) {
  Add(0, Eth{} / Vlan{.id = 5} / Ipv4{.src = kWeb, .dst = kDb} / Udp{.dport = 53});
  Add(0.1, Eth{} / Vlan{.id = 6, .tpid = 0x88a8} / Vlan{.id = 5} / Ipv4{.src = kWeb, .dst = kDb} / Udp{.dport = 53});
  const auto flows = Run();
  ASSERT_THAT(flows, SizeIs(1));
  EXPECT_EQ(Short(flows[0]), "10.0.0.1:40000 10.0.0.2:53 allowed 2+0");
  EXPECT_EQ(flows[0].forward_bytes, 2U * 28) << "layer 3 only";
}

TEST_F(ReplayTest, HeadersAreEnoughOfAFrame) {
  Add(0, Eth{} / Ipv4{.src = kWeb, .dst = kDb} / Tcp{.dport = 5432} / Payload{1000});
  const auto flows = Run(14 + 20 + 20);
  ASSERT_THAT(flows, SizeIs(1));
  EXPECT_EQ(flows[0].forward_bytes, 1040U) << "as it was on the wire";
}

TEST_F(ReplayTest, EverySnaplenIsSurvivedAndSaidToBeTheCapturesFault) {
  const Packet packet = Eth{} / Vlan{} / Ipv6{.src = "fd00::1", .dst = "fd00::2"} / Ipv6Option{} / Tcp{} / Payload{10};
  Add(0, packet);
  const std::size_t enough = 14 + 4 + 40 + 8 + 20;
  for (std::size_t snaplen = 0; snaplen <= packet.ToFrame().size(); snaplen++) {
    EXPECT_THAT(Run(snaplen), SizeIs(snaplen >= enough ? 1 : 0)) << snaplen;
    EXPECT_EQ(skipped_.cut_short, snaplen >= enough ? 0U : 1U) << snaplen;
    EXPECT_THAT(skipped_.unparsable, IsEmpty()) << snaplen;
  }
}

TEST_F(ReplayTest, WhatIsNoFlowIsCounted) {
  Frame short_frame = (Eth{} / Ipv4{} / Udp{}).ToFrame();
  short_frame.resize(30);
  frames_.push_back({0, short_frame});
  Add(0, Eth{.type = 0x0806} / Payload{28});
  Add(0, Eth{.type = 0x88cc} / Payload{28});
  Add(0, Eth{} / Ipv6{.hop_limit = 255} / Icmp{.type = 135});
  EXPECT_THAT(Run(), IsEmpty());
  EXPECT_EQ(skipped_.control, 2U);
  EXPECT_EQ(skipped_.cut_short, 0U);
  EXPECT_THAT(skipped_.unparsable, ElementsAre(Pair(SL_DROP_MALFORMED_IPV4, 1), Pair(SL_DROP_UNSUPPORTED_L3, 1)));
}

TEST_F(ReplayTest, StrangersAreJudgedAtThePodsEnd) {
  scenario_.Apply(PolicyYaml(
      "shop", "web", "podSelector: {matchLabels: {app: web}}, ingress: [{from: [{ipBlock: {cidr: 203.0.113.0/24}}]}]"));
  AddTcp(0, policy::kOutside4, 40000, kWeb, 80, kSyn);
  AddTcp(1, "198.51.100.1", 40000, kWeb, 80, kSyn);
  AddTcp(2, "198.51.100.1", 40000, "198.51.100.2", 80, kSyn);
  const auto flows = Run();
  ASSERT_THAT(flows, SizeIs(3));
  EXPECT_TRUE(flows[0].evaluation.allowed);
  EXPECT_FALSE(flows[1].evaluation.allowed);
  EXPECT_TRUE(flows[2].evaluation.allowed);
  EXPECT_FALSE(flows[2].evaluation.egress || flows[2].evaluation.ingress) << "nobody's business";
}

TEST_F(ReplayTest, NodeMayAlwaysInAndIsJudgedAsAPeerOtherwise) {
  scenario_.Apply(PolicyYaml("shop", "web", "podSelector: {matchLabels: {app: web}}, policyTypes: [Ingress, Egress]"));
  AddTcp(0, policy::kNode4, 40000, kWeb, 80, kSyn);
  AddTcp(1, kWeb, 40000, policy::kNode4, 80, kSyn);
  EXPECT_THAT(RunShort(),
              ElementsAre("10.0.0.254:40000 10.0.0.1:80 allowed 1+0", "10.0.0.1:40000 10.0.0.254:80 denied 1+0"));
}

TEST_F(ReplayTest, PodsElsewhereAreJudgedToo) {
  scenario_.Apply(PolicyYaml("bank", "far", "podSelector: {matchLabels: {app: far}}"));
  AddTcp(0, kWeb, 40000, "10.0.9.9", 81, kSyn);
  EXPECT_THAT(RunShort(), ElementsAre("10.0.0.1:40000 10.0.9.9:81 denied 1+0"));
}

}  // namespace
}  // namespace sluice::replay
