// The packet parser, compiled natively: every field of every kind of packet, and every length of every sample.
#include "bpf/lib/parse.bpf.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>

#include <cstring>
#include <memory>

#include "policy/resource/address.h"
#include "testbed/packet.h"

namespace sluice::test {
namespace {

struct Parsed {
  sl_packet packet{};
  int reason = 0;
};

// Parses a buffer of exactly this size, so that AddressSanitizer detects one byte too far.
Parsed Parse(const Frame& frame) {
  const std::unique_ptr<std::uint8_t[]> exact(new std::uint8_t[frame.size()]);
  if (!frame.empty()) std::memcpy(exact.get(), frame.data(), frame.size());
  Parsed parsed;
  parsed.reason = sl_parse(exact.get(), exact.get() + frame.size(), &parsed.packet);
  return parsed;
}
Parsed Parse(const Packet& packet) { return Parse(packet.ToFrame()); }

std::string Text(const sl_addr& addr) { return policy::Address(addr).ToString(); }

const Ipv4 kIpv4{.src = "10.0.0.1", .dst = "10.0.0.2"};
const Ipv6 kIpv6{.src = "fd00::1", .dst = "fd00::2"};

TEST(Parse, Ipv4TcpWithOptions) {
  Ipv4 ip = kIpv4;
  ip.option_words = 10;
  ip.ttl = 9;
  const auto [packet, reason] = Parse(Eth{} / ip / Tcp{.sport = 1000, .dport = 80, .flags = kSyn | kAck, .words = 15});
  ASSERT_EQ(reason, SL_DROP_NONE);
  EXPECT_EQ(Text(packet.tuple.src), "10.0.0.1");
  EXPECT_EQ(Text(packet.tuple.dst), "10.0.0.2");
  EXPECT_EQ(packet.tuple.protocol, 6);
  EXPECT_EQ(ntohs(packet.tuple.src_port), 1000);
  EXPECT_EQ(ntohs(packet.tuple.dst_port), 80);
  EXPECT_EQ(packet.tcp_flags, kSyn | kAck);
  EXPECT_EQ(packet.ip_version, 4);
  EXPECT_EQ(packet.l3_offset, 14);
  EXPECT_EQ(packet.l3.l4_offset, 14 + 60);
  EXPECT_EQ(packet.l4_length, 60);
  EXPECT_EQ(packet.l3.hop_limit, 9);
  EXPECT_EQ(packet.kind, SL_PACKET_IP);
  EXPECT_FALSE(packet.has_vlan);
  EXPECT_FALSE(packet.is_icmp_error);
  EXPECT_FALSE(packet.truncated);
}

TEST(Parse, TransportsInBothFamilies) {
  for (const Packet& network : {Eth{} / kIpv4, Eth{} / kIpv6}) {
    for (const auto& [packet, protocol] :
         {std::pair{network / Tcp{.sport = 1, .dport = 2}, 6}, std::pair{network / Udp{.sport = 1, .dport = 2}, 17},
          std::pair{network / Sctp{.sport = 1, .dport = 2}, 132}}) {
      const Parsed parsed = Parse(packet);
      ASSERT_EQ(parsed.reason, SL_DROP_NONE) << protocol;
      EXPECT_EQ(parsed.packet.tuple.protocol, protocol);
      EXPECT_EQ(ntohs(parsed.packet.tuple.src_port), 1);
      EXPECT_EQ(ntohs(parsed.packet.tuple.dst_port), 2);
    }
  }
  Ipv4 gre = kIpv4;
  gre.protocol = 47;
  const Parsed parsed = Parse(Eth{} / gre / Payload{4});
  EXPECT_EQ(parsed.reason, SL_DROP_NONE);
  EXPECT_EQ(parsed.packet.tuple.protocol, 47);
  EXPECT_EQ(parsed.packet.tuple.dst_port, 0);
}

TEST(Parse, UpToTwoVlanTags) {
  const Tcp tcp{.dport = 80};
  const Parsed one = Parse(Eth{} / Vlan{} / kIpv4 / tcp);
  EXPECT_EQ(one.packet.l3_offset, 18);
  EXPECT_TRUE(one.packet.has_vlan);
  const Parsed two = Parse(Eth{} / Vlan{.tpid = 0x88a8} / Vlan{} / kIpv6 / tcp);
  EXPECT_EQ(two.packet.l3_offset, 22);
  EXPECT_EQ(ntohs(two.packet.tuple.dst_port), 80);
  EXPECT_EQ(Parse(Eth{} / Vlan{} / Vlan{} / Vlan{} / kIpv4 / tcp).reason, SL_DROP_TOO_MANY_HEADERS);
}

TEST(Parse, UpToEightExtensionHeaders) {
  Packet chain = Eth{} / kIpv6;
  for (int i = 0; i < 8; ++i) chain = chain / Ipv6Option{.header = static_cast<std::uint8_t>(i == 0 ? 0 : 60)};
  const Parsed eight = Parse(chain / Udp{.dport = 53});
  EXPECT_EQ(eight.reason, SL_DROP_NONE);
  EXPECT_EQ(eight.packet.l3.l4_offset, 14 + 40 + 64);
  EXPECT_EQ(Parse(chain / Ipv6Option{.header = 60} / Udp{}).reason, SL_DROP_TOO_MANY_HEADERS);
}

// RFC 4302, 2.2: the length of AH counts 4 bytes, minus 2.
TEST(Parse, AuthenticationHeader) {
  const Raw header{{17, 4, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}};
  Ipv6 ip = kIpv6;
  ip.next = 51;
  const Parsed parsed = Parse(Eth{} / ip / header / Udp{.dport = 53});
  EXPECT_EQ(parsed.reason, SL_DROP_NONE);
  EXPECT_EQ(parsed.packet.tuple.protocol, 17);
  EXPECT_EQ(ntohs(parsed.packet.tuple.dst_port), 53);
}

TEST(Parse, Fragments) {
  Ipv4 first = kIpv4;
  first.more_fragments = true;
  first.id = 0x1234;
  const Parsed v4 = Parse(Eth{} / first / Udp{.dport = 53});
  EXPECT_EQ(v4.packet.fragment, SL_FRAGMENT_FIRST);
  EXPECT_EQ(ntohs(v4.packet.tuple.dst_port), 53);
  Ipv4 later = first;
  later.fragment_offset = 8;
  later.protocol = 17;
  const Parsed v4_later = Parse(Eth{} / later / Payload{3});
  EXPECT_EQ(v4_later.reason, SL_DROP_NONE);
  EXPECT_EQ(v4_later.packet.fragment, SL_FRAGMENT_LATER);
  EXPECT_EQ(v4_later.packet.tuple.protocol, 17);
  EXPECT_EQ(v4_later.packet.tuple.dst_port, 0);
  EXPECT_EQ(v4_later.packet.fragment_id, v4.packet.fragment_id);
  const Parsed v6 = Parse(Eth{} / kIpv6 / Ipv6Fragment{.id = 7, .more = true} / Udp{.dport = 53});
  EXPECT_EQ(v6.packet.fragment, SL_FRAGMENT_FIRST);
  const Parsed v6_later =
      Parse(Eth{} / kIpv6 / Ipv6Fragment{.id = 7, .offset = 9, .more = false, .next = 17} / Payload{3});
  EXPECT_EQ(v6_later.packet.fragment, SL_FRAGMENT_LATER);
  EXPECT_EQ(v6_later.packet.fragment_id, v6.packet.fragment_id);
  // RFC 6946: an atomic fragment is a whole packet.
  const Parsed atomic = Parse(Eth{} / kIpv6 / Ipv6Fragment{.more = false} / Udp{.dport = 53});
  EXPECT_EQ(atomic.packet.fragment, SL_FRAGMENT_NONE);
  EXPECT_EQ(ntohs(atomic.packet.tuple.dst_port), 53);
}

TEST(Parse, EchoHasItsIdentifierOnBothSides) {
  for (const auto& packet :
       {Eth{} / kIpv4 / Icmp{.type = 8, .id = 77}, Eth{} / kIpv4 / Icmp{.type = 0, .id = 77},
        Eth{} / kIpv6 / Icmp{.type = 128, .id = 77}, Eth{} / kIpv6 / Icmp{.type = 129, .id = 77}}) {
    const Parsed parsed = Parse(packet);
    ASSERT_EQ(parsed.reason, SL_DROP_NONE);
    EXPECT_EQ(ntohs(parsed.packet.tuple.src_port), 77);
    EXPECT_EQ(ntohs(parsed.packet.tuple.dst_port), 77);
    EXPECT_EQ(parsed.packet.kind, SL_PACKET_IP);
  }
}

TEST(Parse, LinkControlNeedsItsHopLimit) {
  for (const int type : {133, 134, 135, 136, 137}) {
    Ipv6 ip = kIpv6;
    const Icmp icmp{.type = static_cast<std::uint8_t>(type)};
    ip.hop_limit = 255;
    EXPECT_EQ(Parse(Eth{} / ip / icmp / Payload{16}).packet.kind, SL_PACKET_CONTROL) << type;
    ip.hop_limit = 254;
    EXPECT_EQ(Parse(Eth{} / ip / icmp / Payload{16}).packet.kind, SL_PACKET_IP) << type << " came over a router";
  }
  for (const int type : {130, 131, 132, 143}) {
    Ipv6 ip = kIpv6;
    ip.hop_limit = 1;
    EXPECT_EQ(Parse(Eth{} / ip / Icmp{.type = static_cast<std::uint8_t>(type)} / Payload{16}).packet.kind,
              SL_PACKET_CONTROL);
  }
  EXPECT_EQ(Parse(Eth{.type = 0x0806} / Payload{28}).packet.kind, SL_PACKET_CONTROL);
}

TEST(Parse, LinkControlSaysWhatItClaims) {
  const Eth eth{.src = "02:00:00:00:02:00"};
  const auto target = policy::Address::Parse("fd00::9")->bytes();
  const Raw raw{{target.begin(), target.end()}};
  Ipv6 ip = kIpv6;
  ip.hop_limit = 255;
  ip.dst = "ff02::1:ff00:9";
  const Parsed solicit = Parse(eth / ip / Icmp{.type = 135} / raw);
  EXPECT_EQ(solicit.packet.control, SL_CONTROL_SOLICIT);
  EXPECT_EQ(Text(solicit.packet.target), "fd00::9");
  EXPECT_TRUE(solicit.packet.control_ok);
  EXPECT_EQ(solicit.packet.l3.l4_bytes, 24);
  ip.dst = "ff02::1";
  EXPECT_TRUE(Parse(eth / ip / Icmp{.type = 136} / raw).packet.control_ok);
  EXPECT_FALSE(Parse(eth / ip / Icmp{.type = 136} / raw / Payload{8}).packet.control_ok);
  EXPECT_FALSE(Parse(eth / ip / Ipv6Option{.header = 60} / Icmp{.type = 136} / raw).packet.control_ok);
  EXPECT_EQ(Parse(eth / ip / Ipv6Fragment{} / Icmp{.type = 136} / raw).packet.control, SL_CONTROL_NONE) << "RFC 6980";
  EXPECT_EQ(Parse(eth / ip / Icmp{.type = 134} / Payload{8}).packet.control, SL_CONTROL_ROUTER);
  EXPECT_EQ(Parse(eth / kIpv4 / Icmp{.type = 5} / Payload{28}).packet.control, SL_CONTROL_ROUTER);
  EXPECT_EQ(Parse(eth / kIpv4 / Icmp{.type = 5} / Payload{28}).packet.kind, SL_PACKET_IP) << "policy is asked too";
}

TEST(Parse, IcmpErrorsCarryTheTupleTheyAreAbout) {
  const Packet about4 = Eth{} / Ipv4{.src = "10.0.0.2", .dst = "192.0.2.9"} / Tcp{.sport = 4000, .dport = 443};
  for (const int type : {3, 4, 5, 11, 12}) {
    const Parsed parsed =
        Parse(Eth{} / kIpv4 / Icmp{.type = static_cast<std::uint8_t>(type)} / Raw{about4.ToQuote(28)});
    ASSERT_EQ(parsed.reason, SL_DROP_NONE);
    EXPECT_TRUE(parsed.packet.is_icmp_error);
    EXPECT_EQ(Text(parsed.packet.inner.src), "10.0.0.2");
    EXPECT_EQ(Text(parsed.packet.inner.dst), "192.0.2.9");
    EXPECT_EQ(ntohs(parsed.packet.inner.src_port), 4000);
    EXPECT_EQ(ntohs(parsed.packet.inner.dst_port), 443);
    EXPECT_EQ(Text(parsed.packet.tuple.src), "10.0.0.1") << "the error's own";
  }
  const Packet about6 =
      Eth{} / Ipv6{.src = "fd00::2", .dst = "2001:db8::9"} / Ipv6Option{.header = 60} / Icmp{.type = 128, .id = 5};
  const Parsed parsed = Parse(Eth{} / kIpv6 / Icmp{.type = 2} / Raw{about6.ToQuote(200)});
  EXPECT_TRUE(parsed.packet.is_icmp_error);
  EXPECT_EQ(parsed.packet.inner.protocol, 58);
  EXPECT_EQ(ntohs(parsed.packet.inner.src_port), 5);
}

// Headers of a quoted packet may lie beyond the bytes that a hook can read at first: the parser has to ask for more.
TEST(Parse, AnIcmpErrorCutInItsQuoteAsksForMore) {
  const Packet about = Eth{} / Ipv4{.src = "10.0.0.2", .dst = "192.0.2.9"} / Tcp{};
  const Frame whole = (Eth{} / kIpv4 / Icmp{.type = 3} / Raw{about.ToQuote(28)}).ToFrame();
  for (std::size_t length = 14 + 20 + 8; length < whole.size(); ++length) {
    const Parsed parsed = Parse(Frame(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(length)));
    EXPECT_EQ(parsed.reason, SL_DROP_NONE) << length;
    EXPECT_FALSE(parsed.packet.is_icmp_error) << length;
    EXPECT_TRUE(parsed.packet.truncated) << length;
  }
  EXPECT_FALSE(Parse(whole).packet.truncated);
}

TEST(Parse, WrongHeadersHaveTheirReasons) {
  const auto with = [](const Packet& packet, std::size_t offset, std::uint8_t value) {
    Frame frame = packet.ToFrame();
    frame[offset] = value;
    return Parse(frame);
  };
  const Packet v4 = Eth{} / kIpv4 / Tcp{}, v6 = Eth{} / kIpv6 / Tcp{};
  for (const auto& [parsed, reason] :
       {std::pair{with(v4, 14, 0x55), SL_DROP_MALFORMED_IPV4}, std::pair{with(v4, 14, 0x44), SL_DROP_MALFORMED_IPV4},
        std::pair{with(v4, 17, 19), SL_DROP_MALFORMED_IPV4}, std::pair{with(v6, 14, 0x40), SL_DROP_MALFORMED_IPV6},
        std::pair{with(v4, 14 + 20 + 12, 0x40), SL_DROP_MALFORMED_L4},
        std::pair{with(v4, 12, 0x99), SL_DROP_UNSUPPORTED_L3}}) {
    EXPECT_EQ(parsed.reason, reason);
    EXPECT_FALSE(parsed.packet.truncated) << "more bytes would not help";
  }
}

// Every prefix gives the whole frame's answer, or asks for more bytes.
TEST(Parse, EveryLengthFromNothingOn) {
  Ipv4 options = kIpv4;
  options.option_words = 3;
  const std::vector<Packet> fixtures = {
      Eth{} / Vlan{} / Vlan{} / options / Tcp{.words = 8} / Payload{8},
      Eth{} / kIpv6 / Ipv6Option{.header = 0} / Ipv6Option{.header = 43, .extra_words = 2} / Ipv6Fragment{} / Udp{} /
          Payload{8},
      Eth{} / kIpv4 / Icmp{.type = 11} / Raw{(Eth{} / kIpv4 / Udp{} / Payload{8}).ToQuote(60)},
      Eth{} / kIpv6 / Icmp{.type = 1} / Raw{(Eth{} / kIpv6 / Ipv6Option{.header = 60} / Tcp{}).ToQuote(200)},
      Eth{} / kIpv4 / Sctp{} / Payload{8},
      Eth{.type = 0x0806} / Payload{28},
  };
  for (const Packet& fixture : fixtures) {
    const Frame whole = fixture.ToFrame();
    const Parsed expected = Parse(whole);
    ASSERT_EQ(expected.reason, SL_DROP_NONE);
    for (std::size_t length = 0; length < whole.size(); ++length) {
      const Parsed parsed = Parse(Frame(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(length)));
      if (parsed.packet.truncated) continue;
      ASSERT_EQ(parsed.reason, expected.reason) << length;
      ASSERT_EQ(std::memcmp(&parsed.packet, &expected.packet, sizeof(sl_packet)), 0) << length;
    }
    EXPECT_TRUE(Parse(Frame(whole.begin(), whole.begin() + 13)).packet.truncated);
    EXPECT_EQ(Parse(Frame{}).reason, SL_DROP_MALFORMED_ETHERNET);
  }
}

}  // namespace
}  // namespace sluice::test
