// Any bytes as a frame: the parser reads nothing beyond the end (checked by AddressSanitizer), its answer is
// consistent, and it reports missing bytes, so that the caller can pull in more of the packet. For packets of the fast
// path, both parsers agree.
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>

#include "bpf/lib/parse_fast.bpf.h"

namespace {

struct Parsed {
  sl_packet packet;
  int reason;
  bool is_plain;
  sl_fast_packet plain;
  sl_flow_key plain_key;
};

void Require(bool condition) {
  if (!condition) std::abort();
}

// Parses a copy of exactly this size, so that one byte too far is detected.
Parsed Parse(const std::uint8_t* data, std::size_t size) {
  const std::unique_ptr<std::uint8_t[]> copy(new std::uint8_t[size]);
  if (size != 0) std::memcpy(copy.get(), data, size);
  Parsed parsed;
  std::memset(&parsed, 0, sizeof(parsed));
  parsed.reason = sl_parse(copy.get(), copy.get() + size, &parsed.packet);
  parsed.is_plain = sl_parse_fast(copy.get(), copy.get() + size, &parsed.plain_key, &parsed.plain);
  return parsed;
}

void CheckPlain(const Parsed& parsed) {
  const sl_packet& packet = parsed.packet;
  sl_flow_key key;
  if (!parsed.is_plain) return;
  Require(parsed.reason == SL_DROP_NONE && packet.kind == SL_PACKET_IP && packet.fragment == SL_FRAGMENT_NONE);
  Require(!packet.has_vlan && packet.l3_offset == SL_ETH_LEN && packet.ip_version == parsed.plain.ip_version);
  Require(packet.tuple.protocol == parsed.plain.protocol && packet.tcp_flags == parsed.plain.tcp_flags);
  Require(static_cast<std::uint32_t>(packet.l3.l4_offset + packet.l4_length) == parsed.plain.header);
  Require(sl_flow_key_of(&packet.tuple, &key) == static_cast<int>(parsed.plain.from_hi));
  Require(std::memcmp(&key, &parsed.plain_key, sizeof(key)) == 0);
}

bool HasPorts(int protocol) {
  return protocol == SL_IPPROTO_TCP || protocol == SL_IPPROTO_UDP || protocol == SL_IPPROTO_SCTP;
}

void CheckConsistency(const Parsed& parsed, std::size_t size) {
  const sl_packet& packet = parsed.packet;
  Require(parsed.reason >= SL_DROP_NONE && parsed.reason < SL_DROP_REASON_COUNT);
  if (parsed.reason != SL_DROP_NONE) {
    switch (parsed.reason) {
      case SL_DROP_MALFORMED_ETHERNET:
        return Require(packet.truncated);
      case SL_DROP_MALFORMED_IPV4:
        return Require(packet.ip_version == 4);
      case SL_DROP_MALFORMED_IPV6:
        return Require(packet.ip_version == 6);
      case SL_DROP_MALFORMED_L4:
        return Require(packet.ip_version != 0 && packet.fragment != SL_FRAGMENT_LATER);
      default:
        return Require(parsed.reason == SL_DROP_TOO_MANY_HEADERS || parsed.reason == SL_DROP_UNSUPPORTED_L3);
    }
  }
  if (packet.ip_version == 0) return Require(packet.kind == SL_PACKET_CONTROL);
  Require(packet.l3_offset == 14 || packet.l3_offset == 18 || packet.l3_offset == 22);
  Require(packet.l3.l4_offset > packet.l3_offset && packet.fragment == packet.l3.fragment);
  if (packet.fragment == SL_FRAGMENT_LATER) return;
  Require(packet.tuple.protocol == packet.l3.next);
  if (HasPorts(packet.tuple.protocol)) Require(packet.l3.l4_offset + 8u <= size);
  if (packet.tuple.protocol == SL_IPPROTO_TCP) Require(packet.l4_length >= 20);
  if (packet.is_icmp_error) {
    Require(packet.tuple.protocol == SL_IPPROTO_ICMP || packet.tuple.protocol == SL_IPPROTO_ICMPV6);
    Require(packet.inner_l3.l4_offset + 8u <= size);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const Parsed whole = Parse(data, size);
  CheckConsistency(whole, size);
  CheckPlain(whole);
  const std::size_t longest = size < 256 ? size : 256;
  for (std::size_t length = 0; length < longest; ++length) {
    const Parsed part = Parse(data, length);
    CheckConsistency(part, length);
    CheckPlain(part);
    if (!part.packet.truncated)
      Require(part.reason == whole.reason && std::memcmp(&part.packet, &whole.packet, sizeof(sl_packet)) == 0);
  }
  return 0;
}
