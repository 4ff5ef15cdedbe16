// Frames for tests, written as the layers they are made of:
//   Eth{} / Ipv4{.src = "10.0.0.1", .dst = "10.0.0.2"} / Tcp{.sport = 1000, .dport = 80, .flags = kSyn} / Payload{10}
// Lengths, next-protocol fields and checksums are filled in unless they are set. ToFrame() gives the bytes.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace sluice::test {

using Frame = std::vector<std::uint8_t>;

inline constexpr std::uint8_t kFin = 0x01, kSyn = 0x02, kRst = 0x04, kPsh = 0x08, kAck = 0x10;

struct Eth {
  std::string dst = "02:00:00:00:00:02";
  std::string src = "02:00:00:00:00:01";
  std::optional<std::uint16_t> type;
};
struct Vlan {
  std::uint16_t id = 1;
  std::uint16_t tpid = 0x8100;
};
struct Ipv4 {
  std::string src = "192.0.2.1";
  std::string dst = "192.0.2.2";
  std::uint8_t ttl = 64;
  std::optional<std::uint8_t> protocol;
  int option_words = 0;
  std::uint16_t id = 0;
  std::uint16_t fragment_offset = 0;  // in 8-byte units
  bool more_fragments = false;
};
struct Ipv6 {
  std::string src = "2001:db8::1";
  std::string dst = "2001:db8::2";
  std::uint8_t hop_limit = 64;
  std::optional<std::uint8_t> next;
};
struct Ipv6Option {  // hop-by-hop 0, routing 43, destination 60
  std::uint8_t header = 0;
  std::uint8_t extra_words = 0;  // of 8 bytes
};
struct Ipv6Fragment {
  std::uint32_t id = 1;
  std::uint16_t offset = 0;  // in 8-byte units
  bool more = true;
  std::optional<std::uint8_t> next;
};
struct Tcp {
  std::uint16_t sport = 40000;
  std::uint16_t dport = 80;
  std::uint8_t flags = kSyn;
  std::uint8_t words = 5;
  std::uint32_t seq = 1;
  std::optional<std::uint32_t> ack = {};  // absent: acknowledges all sequence numbers of the peer's segment
};
struct Udp {
  std::uint16_t sport = 40000;
  std::uint16_t dport = 53;
};
struct Sctp {
  std::uint16_t sport = 40000;
  std::uint16_t dport = 80;
};
struct Icmp {  // after Ipv4: ICMP; after Ipv6: ICMPv6
  std::uint8_t type = 8;
  std::uint8_t code = 0;
  std::uint16_t id = 7;
};
struct Raw {
  std::vector<std::uint8_t> bytes;
};
struct Payload {
  int size = 8;
};

using Layer = std::variant<Eth, Vlan, Ipv4, Ipv6, Ipv6Option, Ipv6Fragment, Tcp, Udp, Sctp, Icmp, Raw, Payload>;

class Packet {
 public:
  explicit Packet(Layer layer) : layers_{std::move(layer)} {}
  Packet Then(Layer layer) const;
  Frame ToFrame() const;
  // From the network layer on, as quoted by an ICMP error.
  Frame ToQuote(std::size_t max_bytes) const;

 private:
  std::vector<Layer> layers_;
};

template <typename L>
Packet operator/(const Packet& packet, L layer) {
  return packet.Then(std::move(layer));
}
template <typename L>
Packet operator/(const Eth& eth, L layer) {
  return Packet(eth).Then(std::move(layer));
}

}  // namespace sluice::test
