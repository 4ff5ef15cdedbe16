// ARP, neighbour discovery and multicast membership: messages of a host about itself pass, similar ones do not. Also
// the frames and addresses that a pod may use besides those known to policy.
#include <gtest/gtest.h>

#include <cstring>

#include "tests/support/sample_cluster.h"

namespace sluice::test {
namespace {

constexpr const char *kWebMac = "02:00:00:00:02:00", *kDbMac = "02:00:00:00:02:01", *kOtherMac = "02:00:00:00:02:02";
constexpr const char *kWebLl = "fe80::ff:fe00:200", *kDbLl = "fe80::ff:fe00:201";
constexpr std::uint32_t kBridge = 77;

std::vector<std::uint8_t> Mac(const std::string& text) {
  std::vector<std::uint8_t> mac;
  for (int i = 0; i < 6; ++i) mac.push_back(static_cast<std::uint8_t>(std::stoi(text.substr(3 * i, 2), nullptr, 16)));
  return mac;
}

std::vector<std::uint8_t> Bytes(const std::string& address) {
  const auto parsed = policy::Address::Parse(address);
  EXPECT_TRUE(parsed.ok()) << address;
  const auto& all = parsed->bytes();
  return {all.begin() + (parsed->is_v4() ? 12 : 0), all.end()};
}

std::vector<std::uint8_t> operator+(std::vector<std::uint8_t> a, const std::vector<std::uint8_t>& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

Packet Arp(int operation, const std::string& mac, const std::string& sender, const std::string& target,
           const std::string& sender_mac = {}) {
  const std::vector<std::uint8_t> head{0, 1, 8, 0, 6, 4, 0, static_cast<std::uint8_t>(operation)};
  return Eth{.dst = "ff:ff:ff:ff:ff:ff", .src = mac, .type = 0x0806} /
         Raw{head + Mac(sender_mac.empty() ? mac : sender_mac) + Bytes(sender) + Mac("00:00:00:00:00:00") +
             Bytes(target)};
}

std::vector<std::uint8_t> LinkOption(int type, const std::string& mac) {
  return std::vector<std::uint8_t>{static_cast<std::uint8_t>(type), 1} + Mac(mac);
}

// ICMPv6 with hop limit 255; `rest` follows its first eight bytes.
Packet Nd(int type, const std::string& mac, const std::string& src, const std::string& dst,
          const std::vector<std::uint8_t>& rest = {}, int code = 0) {
  return Eth{.src = mac} / Ipv6{.src = src, .dst = dst, .hop_limit = 255} /
         Icmp{.type = static_cast<std::uint8_t>(type), .code = static_cast<std::uint8_t>(code)} / Raw{rest};
}

Packet Mld(int type, const std::string& src, const std::string& dst, const std::vector<std::uint8_t>& rest) {
  return Eth{.src = kWebMac} / Ipv6{.src = src, .dst = dst, .hop_limit = 1} / Ipv6Option{.header = 0} /
         Icmp{.type = static_cast<std::uint8_t>(type)} / Raw{rest};
}

Packet Igmp(int type, const std::string& dst, const std::string& group, const std::string& src = "10.0.0.1",
            int ttl = 1) {
  return Eth{.src = kWebMac} /
         Ipv4{.src = src, .dst = dst, .ttl = static_cast<std::uint8_t>(ttl), .protocol = 2, .option_words = 1} /
         Raw{std::vector<std::uint8_t>{static_cast<std::uint8_t>(type), 0, 0, 0} + Bytes(group)};
}

class LinkControl : public SampleCluster {
 protected:
  void SetUp() override {
    SampleCluster::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    Describe(kWeb, kWebMac, kWebLl, kWebIp);
    Describe(kDb, kDbMac, kDbLl, kDbIp);
    Describe(kOther, kOtherMac, "fe80::ff:fe00:202", kOtherIp);
    NextBudget();
  }

  void NextBudget() {
    static std::uint64_t seconds = 1000;
    fixture_->SetClock(seconds += 10);
  }

  void Describe(int interface, const char* mac, const char* link_local, const char* ip) {
    sl_interface facts{.master = kBridge, .endpoint = static_cast<std::uint32_t>(interface + 1)};
    std::memcpy(facts.pod_mac, Mac(mac).data(), 6);
    facts.address = policy::Address::Parse(ip)->abi();
    facts.link_local = policy::Address::Parse(link_local)->abi();
    const auto link_local4 = Bytes(fmt::format("169.254.7.{}", interface + 1));
    std::memcpy(&facts.link_local4, link_local4.data(), 4);
    const Status described = fixture_->datapath().DescribeInterface(ifindex(interface), facts);
    ASSERT_TRUE(described.ok()) << described;
  }

  int Web(const Packet& packet) { return FromPod(kWeb, packet).reason; }
};

TEST_F(LinkControl, WhatAHostSaysOfItselfPassesAndCountsAsItsOwn) {
  const std::vector<Packet> all = {
      Arp(1, kWebMac, kWebIp, "10.0.0.9"),
      Arp(2, kWebMac, kWebIp, "10.0.0.9"),
      Arp(1, kWebMac, "0.0.0.0", kWebIp),  // RFC 5227: a probe
      Arp(1, kWebMac, "169.254.7.1", "10.0.0.9"),
      Nd(135, kWebMac, kWebIp6, "ff02::1:ff00:9", Bytes("fd00::9") + LinkOption(1, kWebMac)),
      Nd(135, kWebMac, kWebLl, "ff02::1:ff00:9", Bytes("fd00::9") + LinkOption(1, kWebMac)),
      Nd(135, kWebMac, "::", "ff02::1:ff00:1", Bytes(kWebIp6)),  // DAD
      Nd(135, kWebMac, "::", "ff02::1:ff00:1", Bytes(kWebIp6) + std::vector<std::uint8_t>{14, 1, 1, 2, 3, 4, 5, 6}),
      Nd(135, kWebMac, kWebIp6, kDbIp6, Bytes(kDbIp6) + LinkOption(1, kWebMac)),  // is it reachable?
      Nd(135, kWebMac, kWebLl, "fe80::1", Bytes("fe80::1")),
      Nd(135, kWebMac, kWebLl, "fd00::fe", Bytes("fd00::fe")),   // the node
      Nd(135, kWebMac, kWebIp6, "fd00::77", Bytes("fd00::77")),  // on the bridge
      Nd(136, kWebMac, kWebIp6, "ff02::1", Bytes(kWebIp6) + LinkOption(2, kWebMac)),
      Nd(136, kWebMac, kWebIp6, kDbIp6, Bytes(kWebIp6) + LinkOption(2, kWebMac)),
      Nd(136, kWebMac, kWebLl, "fe80::1", Bytes(kWebLl)),
      Nd(136, kWebMac, kWebIp6, "fd00::77", Bytes(kWebIp6) + LinkOption(2, kWebMac)),
      Nd(133, kWebMac, kWebLl, "ff02::2", LinkOption(1, kWebMac)),
      Nd(133, kWebMac, "::", "ff02::2"),
      Mld(143, kWebLl, "ff02::16", std::vector<std::uint8_t>(20, 1)),
      Mld(143, "::", "ff02::16", std::vector<std::uint8_t>(40, 1)),
      Mld(131, kWebLl, "ff02::fb", Bytes("ff02::fb")),
      Mld(132, kWebLl, "ff02::2", Bytes("ff02::fb")),
      Igmp(0x16, "224.0.0.251", "224.0.0.251"),
      Igmp(0x12, "224.0.0.251", "224.0.0.251"),
      Igmp(0x17, "224.0.0.2", "224.0.0.251"),
      Igmp(0x22, "224.0.0.22", "0.0.0.1", "0.0.0.0") / Payload{8},
  };
  Enforce(DbPolicy() + Policy("nothing", "web", "  policyTypes: [Ingress, Egress]\n"));
  Describe(kWeb, kWebMac, kWebLl, kWebIp);
  for (std::size_t i = 0; i < all.size(); ++i) {
    SCOPED_TRACE(i);
    const Evaluated evaluated = FromPod(kWeb, all[i]);
    EXPECT_EQ(
        evaluated.moves,
        Moves().Packet(SL_HOOK_TC_FROM_POD, SL_DROP_NONE, evaluated.bytes).Egress(1, SL_DROP_NONE, evaluated.bytes));
  }
  EXPECT_TRUE(Flows().empty());
}

TEST_F(LinkControl, OnlyAboutItsOwnAddresses) {
  EXPECT_EQ(Web(Arp(1, kWebMac, kDbIp, "10.0.0.9")), SL_DROP_SPOOFED_SOURCE);
  EXPECT_EQ(Web(Arp(2, kWebMac, kDbIp, "10.0.0.9")), SL_DROP_SPOOFED_SOURCE);
  EXPECT_EQ(Web(Arp(2, kWebMac, kNodeIp, "10.0.0.9")), SL_DROP_SPOOFED_SOURCE);
  EXPECT_EQ(Web(Arp(2, kWebMac, "10.0.0.77", "10.0.0.9")), SL_DROP_SPOOFED_SOURCE) << "of nobody we know";
  EXPECT_EQ(Web(Arp(2, kWebMac, "169.254.7.2", "10.0.0.9")), SL_DROP_SPOOFED_SOURCE);
  for (const char* address : {kDbIp6, kDbLl, "fe80::1", "fd00::fe", "fd00::77"}) {
    SCOPED_TRACE(address);
    EXPECT_EQ(Web(Nd(136, kWebMac, kWebIp6, "ff02::1", Bytes(address) + LinkOption(2, kWebMac))),
              SL_DROP_SPOOFED_SOURCE);
    EXPECT_EQ(Web(Nd(136, kWebMac, address, "ff02::1", Bytes(kWebIp6) + LinkOption(2, kWebMac))),
              SL_DROP_SPOOFED_SOURCE);
    EXPECT_EQ(Web(Nd(135, kWebMac, address, "ff02::1:ff00:9", Bytes("fd00::9"))), SL_DROP_SPOOFED_SOURCE);
    EXPECT_EQ(Web(Nd(133, kWebMac, address, "ff02::2")), SL_DROP_SPOOFED_SOURCE);
    EXPECT_EQ(Web(Mld(143, address, "ff02::16", std::vector<std::uint8_t>(20, 1))), SL_DROP_SPOOFED_SOURCE);
  }
  EXPECT_EQ(Web(Igmp(0x16, "224.0.0.251", "224.0.0.251", kDbIp)), SL_DROP_SPOOFED_SOURCE);
}

// A host that probes an address gives it up when it sees another host probe it too.
TEST_F(LinkControl, ItTriesNoAddressButItsOwn) {
  for (const char* address : {kDbIp, kNodeIp, "10.0.0.77", "169.254.7.2"}) {
    SCOPED_TRACE(address);
    EXPECT_EQ(Web(Arp(1, kWebMac, "0.0.0.0", address)), SL_DROP_SPOOFED_SOURCE);
  }
  for (const char* address : {kWebIp, "169.254.7.1"})
    EXPECT_TRUE(FromPod(kWeb, Arp(1, kWebMac, "0.0.0.0", address)).forwarded) << address;
  const auto tries = [](const char* address) {
    auto group = Bytes(address);
    return Nd(135, kWebMac, "::", fmt::format("ff02::1:ff{:02x}:{:02x}{:02x}", group[13], group[14], group[15]),
              Bytes(address));
  };
  for (const char* address : {kDbIp6, kDbLl, "fd00::fe", "fd00::77"})
    EXPECT_EQ(Web(tries(address)), SL_DROP_SPOOFED_SOURCE) << address;
  for (const char* address : {kWebIp6, kWebLl}) EXPECT_TRUE(FromPod(kWeb, tries(address)).forwarded) << address;
  // From elsewhere web receives the probe, and answers that it has the address.
  EXPECT_TRUE(ToPod(kWeb, kUplink, tries(kWebIp6)).forwarded);
  EXPECT_TRUE(ToPod(kWeb, kUplink, Arp(1, "02:00:00:00:07:07", "0.0.0.0", kWebIp)).forwarded);
}

TEST_F(LinkControl, OnlyInItsForm) {
  const auto own = Bytes(kWebIp6);
  const std::vector<Packet> all = {
      Nd(136, kWebMac, kWebIp6, "ff02::1", own + std::vector<std::uint8_t>(64, 7)),  // a payload
      Nd(136, kWebMac, kWebIp6, "ff02::1", own + std::vector<std::uint8_t>(8, 7)),   // no valid option
      Nd(136, kWebMac, kWebIp6, "ff02::1", own + LinkOption(2, kDbMac)),             // another host's MAC
      Nd(135, kWebMac, kWebIp6, "ff02::1:ff00:9", Bytes("fd00::9") + LinkOption(1, kDbMac)),
      Nd(136, kWebMac, kWebIp6, "ff02::1", own, 1),  // a code
      Nd(136, kWebMac, kWebIp6, "ff02::fb", own),
      Nd(136, kWebMac, kWebIp6, "ff05::1", own),
      Nd(136, kWebMac, "::", "ff02::1", own),
      Nd(135, kWebMac, kWebIp6, "ff02::1:ff00:8", Bytes("fd00::9")),  // another's group
      Nd(135, kWebMac, kWebIp6, kDbIp6, Bytes("fd00::9")),            // asks one host about another
      Nd(135, kWebMac, "::", "fd00::9", Bytes("fd00::9")),
      Nd(135, kWebMac, kWebIp6, "ff02::1:ff00:9", Bytes("ff02::9")),
      Nd(133, kWebMac, kWebLl, "ff02::1"),
      Nd(133, kWebMac, kWebLl, kDbIp6),
      Nd(133, kWebMac, kWebLl, "ff02::2", std::vector<std::uint8_t>(64, 7)),
      Mld(143, kWebLl, kDbIp6, std::vector<std::uint8_t>(20, 1)),  // to a single host
      Mld(143, kWebLl, "ff02::1", std::vector<std::uint8_t>(20, 1)),
      Mld(131, kWebLl, kDbIp6, Bytes("ff02::fb")),
      Mld(131, kWebLl, "ff02::fb", Bytes("ff02::fc")),
      Mld(131, kWebLl, "ff02::fb", Bytes("ff02::fb") + std::vector<std::uint8_t>(8, 7)),
      Mld(132, kWebLl, "ff02::fb", Bytes("ff02::fb")),
      Igmp(0x16, "224.0.0.251", "224.0.0.252"),
      Igmp(0x16, "224.0.0.251", "224.0.0.251") / Payload{64},
      Igmp(0x22, "224.0.0.1", "0.0.0.1") / Payload{8},
      Igmp(0x99, "224.0.0.1", "0.0.0.1"),
  };
  for (std::size_t i = 0; i < all.size(); ++i) {
    SCOPED_TRACE(i);
    const Evaluated evaluated = FromPod(kWeb, all[i]);
    EXPECT_EQ(evaluated.reason, SL_DROP_LINK_CONTROL);
    EXPECT_EQ(evaluated.moves, Moves()
                                   .Packet(SL_HOOK_TC_FROM_POD, SL_DROP_LINK_CONTROL, evaluated.bytes)
                                   .Egress(1, SL_DROP_LINK_CONTROL, evaluated.bytes)
                                   .Added("denied"));
    ASSERT_TRUE(fixture_->ForgetFlows().ok());
  }
  // A frame longer than its packet: a bridge would forward the extra bytes.
  Frame long_arp = Arp(1, kWebMac, kWebIp, "10.0.0.9").ToFrame();
  long_arp.resize(60);
  EXPECT_TRUE(FromPod(kWeb, long_arp).forwarded) << "filled up to Ethernet's shortest";
  long_arp.resize(500);
  EXPECT_EQ(FromPod(kWeb, long_arp).reason, SL_DROP_LINK_CONTROL);
  Frame long_nd = Nd(136, kWebMac, kWebIp6, "ff02::1", own).ToFrame();
  long_nd.resize(500);
  EXPECT_EQ(FromPod(kWeb, long_nd).reason, SL_DROP_LINK_CONTROL);
  Frame reverse_arp = Arp(3, kWebMac, kWebIp, "10.0.0.9").ToFrame();
  EXPECT_EQ(FromPod(kWeb, reverse_arp).reason, SL_DROP_LINK_CONTROL);
}

TEST_F(LinkControl, ItDoesNotLeaveTheLink) {
  for (const char* address : {"2001:db8::1", kRemoteIp6, "fd01::1"}) {
    SCOPED_TRACE(address);
    EXPECT_EQ(Web(Nd(136, kWebMac, kWebIp6, address, Bytes(kWebIp6))), SL_DROP_LINK_CONTROL);
    EXPECT_EQ(Web(Nd(135, kWebMac, kWebIp6, address, Bytes(address))), SL_DROP_LINK_CONTROL);
  }
  // Without a bridge, only the node is on the link.
  sl_interface routed{.endpoint = 1};
  routed.address = policy::Address::Parse(kWebIp)->abi();
  ASSERT_TRUE(fixture_->datapath().DescribeInterface(ifindex(kWeb), routed).ok());
  EXPECT_EQ(Web(Nd(136, kWebMac, kWebIp6, "fd00::77", Bytes(kWebIp6))), SL_DROP_LINK_CONTROL);
  EXPECT_TRUE(FromPod(kWeb, Nd(136, kWebMac, kWebIp6, "fd00::fe", Bytes(kWebIp6))).forwarded);
}

TEST_F(LinkControl, NothingThatOnlyRoutersSend) {
  const Packet about = Tcp4(kDbIp, kWebIp, 40000, kAck, 5432);
  ASSERT_TRUE(FromPod(kWeb, Eth{.src = kWebMac} / Ipv4{.src = kWebIp, .dst = kDbIp} / Tcp{.dport = 5432}).forwarded);
  const std::vector<Packet> all = {
      Nd(134, kWebMac, kWebLl, "ff02::1", std::vector<std::uint8_t>(32, 0)),
      Nd(134, kWebMac, kWebLl, kDbLl, std::vector<std::uint8_t>(32, 0)),
      Nd(137, kWebMac, kWebLl, kDbLl, std::vector<std::uint8_t>(32, 0)),
      Mld(130, kWebLl, "ff02::1", std::vector<std::uint8_t>(20, 0)),
      Igmp(0x11, "224.0.0.1", "0.0.0.0"),
      Eth{.src = kWebMac} / Ipv4{.src = kWebIp, .dst = kDbIp} / Icmp{.type = 5} / Raw{about.ToQuote(28)},
      Eth{.src = kWebMac} / Ipv4{.src = kWebIp, .dst = "224.0.0.1"} / Icmp{.type = 9} / Payload{8},
  };
  for (const Packet& packet : all) EXPECT_EQ(Web(packet), SL_DROP_LINK_CONTROL);
  // To a pod, from its node or its router.
  const std::vector<Packet> routers = {all[0], all[1], all[2], all[3],
                                       Igmp(0x11, "224.0.0.1", "0.0.0.0", "10.0.0.200")};
  for (const int from : {static_cast<int>(kNode), static_cast<int>(kUplink)}) {
    for (const Packet& packet : routers) EXPECT_TRUE(ToPod(kDb, from, packet).forwarded);
  }
}

TEST_F(LinkControl, OverARouterItIsNoLinkControl) {
  const Packet routed = Eth{.src = kWebMac} / Ipv6{.src = kWebIp6, .dst = kDbIp6, .hop_limit = 64} / Icmp{.type = 136} /
                        Raw{Bytes(kWebIp6)};
  EXPECT_EQ(Web(routed), SL_DROP_POLICY_DENIED);
  EXPECT_EQ(Web(Igmp(0x16, "224.0.0.251", "224.0.0.251", kWebIp, 64)), SL_DROP_NONE) << "web's egress is open";
  EXPECT_EQ(Web(Igmp(0x16, kDbIp, "224.0.0.251")), SL_DROP_POLICY_DENIED) << "IGMP to one alone";
}

TEST_F(LinkControl, OnlyWithItsOwnMac) {
  EXPECT_EQ(Web(Arp(1, kDbMac, kWebIp, "10.0.0.9")), SL_DROP_SPOOFED_SOURCE);
  EXPECT_EQ(Web(Arp(1, kWebMac, kWebIp, "10.0.0.9", kDbMac)), SL_DROP_LINK_CONTROL) << "in the message alone";
  const auto tcp = [](const char* mac, std::uint8_t flags) {
    return Eth{.src = mac} / Ipv4{.src = kWebIp, .dst = kDbIp} / Tcp{.dport = 5432, .flags = flags};
  };
  const Packet udp = Eth{.src = kDbMac} / Ipv4{.src = kWebIp, .dst = kOtherIp} / Udp{};
  EXPECT_EQ(Web(udp), SL_DROP_SPOOFED_SOURCE) << "a first packet";
  EXPECT_EQ(Web(tcp(kDbMac, kSyn)), SL_DROP_SPOOFED_SOURCE);
  ASSERT_TRUE(FromPod(kWeb, tcp(kWebMac, kSyn)).forwarded);
  ASSERT_TRUE(FromPod(kDb, Eth{.src = kDbMac} / Ipv4{.src = kDbIp, .dst = kWebIp} /
                               Tcp{.sport = 5432, .dport = 40000, .flags = kSyn | kAck})
                  .forwarded);
  ASSERT_TRUE(FromPod(kWeb, tcp(kWebMac, kAck)).forwarded);
  EXPECT_EQ(Web(tcp(kDbMac, kAck)), SL_DROP_SPOOFED_SOURCE) << "a packet of an established flow";
  EXPECT_TRUE(FromPod(kWeb, tcp(kWebMac, kAck)).forwarded) << "which goes on";
  const auto error = [](const char* mac) {
    return Eth{.src = mac} / Ipv4{.src = kWebIp, .dst = kDbIp} / Icmp{.type = 3, .code = 1} /
           Raw{ToWeb(kAck).ToQuote(28)};
  };
  EXPECT_EQ(Web(error(kDbMac)), SL_DROP_SPOOFED_SOURCE) << "an ICMP error about it";
  EXPECT_TRUE(FromPod(kWeb, error(kWebMac)).forwarded);
}

TEST_F(LinkControl, WhoIsNotInForceHasNone) {
  EXPECT_EQ(FromPod(kNobody, Arp(1, kWebMac, kWebIp, "10.0.0.9")).reason, SL_DROP_UNKNOWN_ENDPOINT);
  EXPECT_EQ(ToPod(kNobody, kUplink, Arp(1, kWebMac, kWebIp, "10.0.0.9")).reason, SL_DROP_UNKNOWN_ENDPOINT);
}

TEST_F(LinkControl, ToAPodNobodyElseSpeaksForALocalWorkload) {
  const Packet arp = Arp(2, kWebMac, kWebIp, kDbIp);
  const Packet advertisement = Nd(136, kWebMac, kWebIp6, kDbIp6, Bytes(kWebIp6) + LinkOption(2, kWebMac));
  for (const Packet& packet : {arp, advertisement}) {
    EXPECT_TRUE(ToPod(kDb, kWeb, packet).forwarded);
    EXPECT_TRUE(ToPod(kDb, kNode, packet).forwarded) << "the node is its proxy";
    EXPECT_EQ(ToPod(kDb, kUplink, packet).reason, SL_DROP_SPOOFED_SOURCE);
    EXPECT_EQ(ToPod(kDb, kOther, packet).reason, SL_DROP_SPOOFED_SOURCE);
  }
  EXPECT_TRUE(ToPod(kDb, kUplink, Arp(2, "02:00:00:00:07:07", kRemoteIp, kDbIp)).forwarded);
}

TEST_F(LinkControl, ItHasABudgetASmallerOneInQuarantine) {
  const Packet arp = Arp(1, kWebMac, kWebIp, "10.0.0.9");
  const auto frame = arp.ToFrame();
  const auto passed = [&](int tries) {
    int count = 0;
    for (int i = 0; i < tries; ++i) {
      auto verdict = fixture_->FromPod(ifindex(kWeb), frame);
      count += verdict.ok() && verdict->forwarded;
    }
    return count;
  };
  const int all = static_cast<int>(SL_LINK_CONTROL_RATE / frame.size());
  EXPECT_NEAR(passed(all + 100), all, 1);
  EXPECT_EQ(Web(arp), SL_DROP_LINK_CONTROL);
  EXPECT_TRUE(FromPod(kDb, Arp(1, kDbMac, kDbIp, "10.0.0.9")).forwarded) << "others have their own";
  NextBudget();
  ASSERT_TRUE(fixture_->datapath().SetQuarantine(1, true).ok());
  const int few = static_cast<int>(SL_LINK_CONTROL_RATE_CUT_OFF / frame.size());
  EXPECT_NEAR(passed(few + 100), few, 1);
  ASSERT_TRUE(fixture_->datapath().SetQuarantine(1, false).ok());
}

// Link-local addresses, unknown to policy, as a host uses them.
TEST_F(LinkControl, ItsAddressesOnTheLinkAreItsOwnAndPolicyIsAsked) {
  const Packet mdns6 = Eth{.src = kWebMac} / Ipv6{.src = kWebLl, .dst = "ff02::fb"} / Udp{.sport = 5353, .dport = 5353};
  const Packet dhcp =
      Eth{.src = kWebMac} / Ipv4{.src = "0.0.0.0", .dst = "255.255.255.255"} / Udp{.sport = 68, .dport = 67};
  const std::vector<Packet> all = {
      mdns6,
      dhcp,
      Eth{.src = kWebMac} / Ipv6{.src = kWebLl, .dst = "ff02::1:2"} / Udp{.sport = 546, .dport = 547},  // DHCPv6
      Eth{.src = kWebMac} / Ipv4{.src = kWebIp, .dst = "224.0.0.18", .ttl = 255, .protocol = 112} /
          Payload{20},  // VRRP
      Eth{.src = kWebMac} / Ipv6{.src = kWebLl, .dst = "ff02::12", .hop_limit = 255, .next = 112} / Payload{20},
      Eth{.src = kWebMac} / Ipv4{.src = kWebIp, .dst = "224.0.0.251"} / Udp{.sport = 5353, .dport = 5353},
      Eth{.src = kWebMac} / Ipv4{.src = "169.254.7.1", .dst = "169.254.9.9"} / Udp{},
      Eth{.src = kWebMac} / Ipv6{.src = kWebLl, .dst = "fe80::1"} / Udp{},
  };
  for (std::size_t i = 0; i < all.size(); ++i) {
    SCOPED_TRACE(i);
    const Evaluated evaluated = FromPod(kWeb, all[i]);
    EXPECT_TRUE(evaluated.forwarded) << evaluated.reason;
    const auto flows = Flows();
    ASSERT_EQ(flows.size(), 1u);
    EXPECT_EQ(flows[0].entry.initiator.endpoint, 1u) << "told of as web's";
    ASSERT_TRUE(fixture_->ForgetFlows().ok());
  }
  // From others' addresses, and to others.
  EXPECT_EQ(Web(Eth{.src = kWebMac} / Ipv6{.src = kDbLl, .dst = "ff02::fb"} / Udp{}), SL_DROP_SPOOFED_SOURCE);
  EXPECT_EQ(Web(Eth{.src = kWebMac} / Ipv6{.src = "::", .dst = "ff02::fb"} / Udp{}), SL_DROP_SPOOFED_SOURCE);
  EXPECT_EQ(Web(Eth{.src = kWebMac} / Ipv4{.src = "169.254.7.2", .dst = "224.0.0.251"} / Udp{}),
            SL_DROP_SPOOFED_SOURCE);
  EXPECT_EQ(Web(Eth{.src = kWebMac} / Ipv4{.src = "0.0.0.0", .dst = "255.255.255.255"} / Udp{.sport = 68, .dport = 53}),
            SL_DROP_SPOOFED_SOURCE);
  EXPECT_EQ(Web(Eth{.src = kWebMac} / Ipv4{.src = "0.0.0.0", .dst = kDbIp} / Udp{.sport = 68, .dport = 67}),
            SL_DROP_SPOOFED_SOURCE);
  // Another pod receives web's multicast as a flow from web.
  ASSERT_TRUE(fixture_->ForgetFlows().ok());
  ASSERT_TRUE(FromPod(kWeb, mdns6).forwarded);
  EXPECT_EQ(ToPod(kDb, kWeb, mdns6).reason, SL_DROP_POLICY_DENIED);
  EXPECT_TRUE(ToPod(kOther, kWeb, mdns6).forwarded);
  // When isolated, policy decides.
  Enforce(DbPolicy() + Policy("nothing", "web", "  policyTypes: [Egress]\n"));
  Describe(kWeb, kWebMac, kWebLl, kWebIp);
  ASSERT_TRUE(fixture_->ForgetFlows().ok());
  for (const Packet& packet : all) EXPECT_EQ(Web(packet), SL_DROP_POLICY_DENIED);
}

}  // namespace
}  // namespace sluice::test
