#include "testbed/packet.h"

#include <arpa/inet.h>

#include <cstdio>
#include <cstdlib>
#include <span>

namespace sluice::test {
namespace {

void Put16(Frame& out, std::uint16_t value) {
  out.push_back(value >> 8);
  out.push_back(value & 0xff);
}

void Put32(Frame& out, std::uint32_t value) {
  Put16(out, value >> 16);
  Put16(out, value & 0xffff);
}

void PutMac(Frame& out, const std::string& text) {
  unsigned m[6] = {};
  if (sscanf(text.c_str(), "%x:%x:%x:%x:%x:%x", &m[0], &m[1], &m[2], &m[3], &m[4], &m[5]) != 6) abort();
  for (const unsigned byte : m) out.push_back(static_cast<std::uint8_t>(byte));
}

void PutAddress(Frame& out, int family, const std::string& text) {
  std::uint8_t bytes[16];
  if (inet_pton(family, text.c_str(), bytes) != 1) abort();
  out.insert(out.end(), bytes, bytes + (family == AF_INET ? 4 : 16));
}

std::uint16_t Checksum(std::span<const std::uint8_t> bytes) {
  std::uint32_t sum = 0;
  for (std::size_t i = 0; i < bytes.size(); i += 2) sum += (bytes[i] << 8) | (i + 1 < bytes.size() ? bytes[i + 1] : 0);
  while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<std::uint16_t>(~sum);
}

// The IP protocol number that announces a layer; `v6` selects ICMPv6.
std::uint8_t ProtocolOf(const Layer& layer, bool v6) {
  if (std::holds_alternative<Tcp>(layer)) return 6;
  if (std::holds_alternative<Udp>(layer)) return 17;
  if (std::holds_alternative<Sctp>(layer)) return 132;
  if (std::holds_alternative<Icmp>(layer)) return v6 ? 58 : 1;
  if (std::holds_alternative<Ipv6Fragment>(layer)) return 44;
  if (const auto* option = std::get_if<Ipv6Option>(&layer)) return option->header;
  return 59;
}

std::uint16_t EthertypeOf(const Layer& layer) {
  if (std::holds_alternative<Ipv4>(layer)) return 0x0800;
  if (std::holds_alternative<Ipv6>(layer)) return 0x86dd;
  if (const auto* vlan = std::get_if<Vlan>(&layer)) return vlan->tpid;
  return 0x88b5;
}

class Writer {
 public:
  Writer(const Layer* next, const Frame& rest, bool v6) : next_(next), rest_(rest), v6_(v6) {}

  Frame operator()(const Eth& eth) const {
    Frame out;
    PutMac(out, eth.dst);
    PutMac(out, eth.src);
    Put16(out, eth.type ? *eth.type : next_ ? EthertypeOf(*next_) : 0x88b5);
    return out;
  }
  Frame operator()(const Vlan& vlan) const {
    Frame out;
    Put16(out, vlan.id);
    Put16(out, next_ ? EthertypeOf(*next_) : 0x88b5);
    return out;
  }
  Frame operator()(const Ipv4& ip) const {
    Frame out;
    const int header = 20 + ip.option_words * 4;
    out.push_back(0x40 | (header / 4));
    out.push_back(0);
    Put16(out, header + rest_.size());
    Put16(out, ip.id);
    Put16(out, ip.fragment_offset | (ip.more_fragments ? 0x2000 : 0));
    out.push_back(ip.ttl);
    out.push_back(ip.protocol ? *ip.protocol : next_ ? ProtocolOf(*next_, false) : 255);
    Put16(out, 0);
    PutAddress(out, AF_INET, ip.src);
    PutAddress(out, AF_INET, ip.dst);
    for (int i = 0; i < ip.option_words * 4; ++i) out.push_back(1);  // NOP
    const std::uint16_t sum = Checksum(out);
    out[10] = sum >> 8;
    out[11] = sum & 0xff;
    return out;
  }
  Frame operator()(const Ipv6& ip) const {
    Frame out;
    Put32(out, 0x60000000);
    Put16(out, rest_.size());
    out.push_back(ip.next ? *ip.next : next_ ? ProtocolOf(*next_, true) : 59);
    out.push_back(ip.hop_limit);
    PutAddress(out, AF_INET6, ip.src);
    PutAddress(out, AF_INET6, ip.dst);
    return out;
  }
  Frame operator()(const Ipv6Option& option) const {
    Frame out{next_ ? ProtocolOf(*next_, true) : std::uint8_t{59}, option.extra_words, 1, 4, 0, 0, 0, 0};
    for (int i = 0; i < option.extra_words; ++i) out.insert(out.end(), {1, 6, 0, 0, 0, 0, 0, 0});
    return out;
  }
  Frame operator()(const Ipv6Fragment& fragment) const {
    Frame out{fragment.next ? *fragment.next : next_ ? ProtocolOf(*next_, true) : std::uint8_t{59}, 0};
    Put16(out, fragment.offset << 3 | (fragment.more ? 1 : 0));
    Put32(out, fragment.id);
    return out;
  }
  Frame operator()(const Tcp& tcp) const {
    Frame out;
    Put16(out, tcp.sport);
    Put16(out, tcp.dport);
    Put32(out, tcp.seq);
    Put32(out, tcp.ack.value_or((tcp.flags & kAck) ? tcp.seq + 1 : 0));
    out.push_back(tcp.words << 4);
    out.push_back(tcp.flags);
    Put16(out, 64240);
    Put32(out, 0);
    for (int i = 5; i < tcp.words; ++i) Put32(out, 0x01010101);
    return out;
  }
  Frame operator()(const Udp& udp) const {
    Frame out;
    Put16(out, udp.sport);
    Put16(out, udp.dport);
    Put16(out, 8 + rest_.size());
    Put16(out, 0);
    return out;
  }
  Frame operator()(const Sctp& sctp) const {
    Frame out;
    Put16(out, sctp.sport);
    Put16(out, sctp.dport);
    Put32(out, 0);
    Put32(out, 0);
    return out;
  }
  Frame operator()(const Icmp& icmp) const {
    Frame out{icmp.type, icmp.code, 0, 0};
    Put16(out, icmp.id);
    Put16(out, 1);
    if (!v6_) {
      Frame whole = out;
      whole.insert(whole.end(), rest_.begin(), rest_.end());
      const std::uint16_t sum = Checksum(whole);
      out[2] = sum >> 8;
      out[3] = sum & 0xff;
    }
    return out;
  }
  Frame operator()(const Raw& raw) const { return raw.bytes; }
  Frame operator()(const Payload& payload) const { return Frame(payload.size, 'x'); }

 private:
  const Layer* next_;
  const Frame& rest_;
  bool v6_;
};

}  // namespace

// Not in the header: when inlined, GCC 12 warns about a write beyond the vector.
Packet Packet::Then(Layer layer) const {
  Packet next = *this;
  next.layers_.push_back(std::move(layer));
  return next;
}

Frame Packet::ToFrame() const {
  bool v6 = false;
  for (const Layer& layer : layers_) v6 = v6 || std::holds_alternative<Ipv6>(layer);
  Frame frame;
  for (std::size_t i = layers_.size(); i-- > 0;) {
    const Layer* next = i + 1 < layers_.size() ? &layers_[i + 1] : nullptr;
    Frame header = std::visit(Writer(next, frame, v6), layers_[i]);
    header.insert(header.end(), frame.begin(), frame.end());
    frame = std::move(header);
  }
  return frame;
}

Frame Packet::ToQuote(std::size_t max_bytes) const {
  Frame frame = ToFrame();
  frame.erase(frame.begin(), frame.begin() + 14);
  if (frame.size() > max_bytes) frame.resize(max_bytes);
  return frame;
}

}  // namespace sluice::test
