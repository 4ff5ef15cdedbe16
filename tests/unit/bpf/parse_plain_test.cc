// The fast path's parser against the full one: for packets that it accepts, both agree, and it accepts what it should.
// Frames are samples, and samples with random bytes.
#include "bpf/lib/parse_fast.bpf.h"

#include <gtest/gtest.h>

#include <cstring>
#include <memory>
#include <random>

#include "testbed/packet.h"

namespace sluice::test {
namespace {

struct Plain {
  bool is_plain = false;
  sl_fast_packet facts{};
  sl_flow_key key{};
};

// A buffer of exactly this size, so that AddressSanitizer detects one byte too far.
std::unique_ptr<std::uint8_t[]> Exact(const Frame& frame) {
  std::unique_ptr<std::uint8_t[]> exact(new std::uint8_t[frame.size()]);
  if (!frame.empty()) std::memcpy(exact.get(), frame.data(), frame.size());
  return exact;
}

Plain ParsePlain(const Frame& frame) {
  const auto exact = Exact(frame);
  Plain plain;
  plain.is_plain = sl_parse_fast(exact.get(), exact.get() + frame.size(), &plain.key, &plain.facts) != 0;
  return plain;
}

// True for a fast-path packet; then checks that both parsers agree about everything.
bool IsPlainAndAlike(const Frame& frame) {
  const Plain plain = ParsePlain(frame);
  if (!plain.is_plain) return false;
  const auto exact = Exact(frame);
  sl_packet packet{};
  EXPECT_EQ(sl_parse(exact.get(), exact.get() + frame.size(), &packet), SL_DROP_NONE);
  EXPECT_EQ(packet.kind, SL_PACKET_IP);
  EXPECT_EQ(packet.fragment, SL_FRAGMENT_NONE);
  EXPECT_FALSE(packet.has_vlan);
  EXPECT_EQ(packet.ip_version, plain.facts.ip_version);
  EXPECT_EQ(packet.tuple.protocol, plain.facts.protocol);
  EXPECT_EQ(packet.tcp_flags, plain.facts.tcp_flags);
  EXPECT_EQ(static_cast<std::uint32_t>(packet.l3.l4_offset + packet.l4_length), plain.facts.header);
  sl_flow_key key{};
  EXPECT_EQ(sl_flow_key_of(&packet.tuple, &key), static_cast<int>(plain.facts.from_hi));
  EXPECT_EQ(std::memcmp(&key, &plain.key, sizeof(key)), 0);
  return true;
}

std::vector<Packet> PlainFixtures() {
  std::vector<Packet> fixtures;
  for (const bool turned : {false, true}) {
    const Ipv4 v4{.src = turned ? "10.0.0.2" : "10.0.0.1", .dst = turned ? "10.0.0.1" : "10.0.0.2"};
    const Ipv6 v6{.src = turned ? "fd00::2" : "fd00::1", .dst = turned ? "fd00::1" : "fd00::2"};
    const Ipv4 to_itself{.src = "10.0.0.1", .dst = "10.0.0.1"};
    const std::uint16_t from = turned ? 40000 : 80, to = turned ? 80 : 40000;
    for (const Packet& network : {Eth{} / v4, Eth{} / v6, Eth{} / to_itself}) {
      fixtures.push_back(network / Tcp{.sport = from, .dport = to, .flags = kAck, .words = 8} / Payload{3});
      fixtures.push_back(network / Udp{.sport = from, .dport = to} / Payload{3});
    }
  }
  return fixtures;
}

TEST(ParsePlain, TakesTcpAndUdpOfBothFamiliesAndDirections) {
  for (const Packet& fixture : PlainFixtures()) EXPECT_TRUE(IsPlainAndAlike(fixture.ToFrame()));
}

TEST(ParsePlain, LeavesTheRest) {
  Ipv4 options{.src = "10.0.0.1", .dst = "10.0.0.2"};
  const Packet v4 = Eth{} / options, v6 = Eth{} / Ipv6{.src = "fd00::1", .dst = "fd00::2"};
  options.option_words = 1;
  for (const Packet& packet :
       {Eth{} / options / Tcp{}, v6 / Ipv6Option{.header = 60} / Tcp{}, v6 / Ipv6Fragment{} / Udp{},
        Eth{} / Vlan{} / Ipv4{.src = "10.0.0.1", .dst = "10.0.0.2"} / Tcp{}, v4 / Sctp{}, v4 / Icmp{.type = 8},
        Eth{.type = 0x0806} / Payload{28}})
    EXPECT_FALSE(ParsePlain(packet.ToFrame()).is_plain);
  Frame fragment = (v4 / Udp{}).ToFrame();
  fragment[14 + 6] = 0x20;
  EXPECT_FALSE(ParsePlain(fragment).is_plain) << "more fragments";
  fragment[14 + 6] = 0x40;
  EXPECT_TRUE(ParsePlain(fragment).is_plain) << "do not fragment";
}

TEST(ParsePlain, NeverTakesWhatIsNotWhole) {
  for (const Packet& fixture : PlainFixtures()) {
    const Frame whole = fixture.ToFrame();
    for (std::size_t length = 0; length < whole.size(); ++length)
      IsPlainAndAlike(Frame(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(length)));
  }
}

TEST(ParsePlain, AgreesAboutRandomHeaders) {
  constexpr int kFrames = 200000;
  std::mt19937 random(20261125);
  const auto fixtures = PlainFixtures();
  int plain = 0;
  for (int i = 0; i < kFrames; ++i) {
    Frame frame = fixtures[random() % fixtures.size()].ToFrame();
    for (int change = static_cast<int>(random() % 4); change >= 0; --change)
      frame[12 + random() % (frame.size() - 12)] = static_cast<std::uint8_t>(random());
    plain += IsPlainAndAlike(frame);
    ASSERT_FALSE(HasFailure()) << "frame " << i;
  }
  EXPECT_GT(plain, kFrames / 10);
  EXPECT_LT(plain, kFrames);
}

}  // namespace
}  // namespace sluice::test
