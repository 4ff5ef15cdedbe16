#include "perf/dpdk/frames.h"

#include <netinet/ether.h>

#include <algorithm>
#include <charconv>
#include <cstring>

#include "perf/bpf/rotation.h"

namespace sluice::perf {
namespace {

constexpr std::size_t kEthernet = 14, kIpv4 = 20, kIpv6 = 40, kUdp = 8, kLongest = 1514;
constexpr std::uint8_t kProtocolUdp = 17;

void Put16(std::uint8_t* at, std::uint32_t value) {
  at[0] = static_cast<std::uint8_t>(value >> 8);
  at[1] = static_cast<std::uint8_t>(value);
}

std::uint32_t Get16(const std::uint8_t* at) { return at[0] << 8 | at[1]; }

void Put32(std::uint8_t* at, std::uint32_t value) {
  Put16(at, value >> 16);
  Put16(at + 2, value);
}

// RFC 1071; `bytes` is even.
std::uint32_t SumOf(const std::uint8_t* at, std::size_t bytes) {
  std::uint32_t sum = 0;
  for (std::size_t i = 0; i < bytes; i += 2) sum += Get16(at + i);
  return sum;
}

std::uint32_t Checksum(std::uint32_t sum) {
  sum = (sum & 0xffff) + (sum >> 16);
  sum = (sum & 0xffff) + (sum >> 16);
  return ~sum & 0xffff;
}

std::uint32_t HalvesOf(std::uint32_t word) { return (word >> 16) + (word & 0xffff); }

Status PutMac(std::uint8_t* at, const std::string& text) {
  ether_addr mac{};
  if (ether_aton_r(text.c_str(), &mac) == nullptr) return InvalidError("{} is no MAC address", text);
  std::memcpy(at, mac.ether_addr_octet, sizeof(mac.ether_addr_octet));
  return OkStatus();
}

void PutAddress(std::uint8_t* at, const policy::Address& address) {
  std::copy(address.bytes().begin() + (address.is_v4() ? 12 : 0), address.bytes().end(), at);
}

// IPv4 without options or IPv6 without extension headers, and UDP.
struct Layout {
  std::size_t addresses = 0;  // source, then destination; 0: it is something else
  std::size_t ports = 0;
};

Layout LayoutOf(const std::uint8_t* frame, std::size_t bytes) {
  if (bytes < kEthernet + kIpv4 + kUdp) return {};
  const std::uint32_t type = Get16(frame + 12);
  const std::uint8_t* const ip = frame + kEthernet;
  if (type == 0x0800 && ip[0] == 0x45 && ip[9] == kProtocolUdp) return {kEthernet + 12, kEthernet + kIpv4};
  if (type == 0x86dd && bytes >= kEthernet + kIpv6 + kUdp && ip[6] == kProtocolUdp)
    return {kEthernet + 8, kEthernet + kIpv6};
  return {};
}

}  // namespace

StatusOr<FrameWriter> FrameWriter::Create(const Traffic& traffic) {
  const bool v4 = traffic.source.is_v4();
  const std::size_t ip_bytes = v4 ? kIpv4 : kIpv6, headers = kEthernet + ip_bytes + kUdp;
  if (traffic.destination.is_v4() != v4)
    return InvalidError("{} and {} are of two families", traffic.source.ToString(), traffic.destination.ToString());
  if (traffic.bytes < std::max<std::size_t>(60, headers) || traffic.bytes > kLongest)
    return InvalidError("a frame of {} bytes: such frames have {} to {}", traffic.bytes,
                        std::max<std::size_t>(60, headers), kLongest);
  constexpr std::uint32_t kPorts = PERF_CLIENT_PORTS * (65536U - PERF_FIRST_SERVICE_PORT);
  if (traffic.flows == 0 || (traffic.stride == 0 && traffic.flows > kPorts))
    return InvalidError("{} flows: there are 1 to {} by ports", traffic.flows, kPorts);

  FrameWriter writer;
  writer.traffic_ = traffic;
  writer.state_ = traffic.first_flow;
  writer.frame_.resize(traffic.bytes);
  std::uint8_t* const frame = writer.frame_.data();
  std::uint8_t* const ip = frame + kEthernet;
  std::uint8_t* const udp = ip + ip_bytes;
  SL_RETURN_IF_ERROR(PutMac(frame, traffic.destination_mac));
  SL_RETURN_IF_ERROR(PutMac(frame + 6, traffic.source_mac));
  Put16(frame + 12, v4 ? 0x0800 : 0x86dd);
  const auto payload = static_cast<std::uint32_t>(traffic.bytes - kEthernet - ip_bytes);  // of IP
  if (v4) {
    Put16(ip, 0x4500);
    Put16(ip + 2, payload + kIpv4);
    Put16(ip + 6, 0x4000);  // do not fragment
    Put16(ip + 8, 0x4000 | kProtocolUdp);
  } else {
    Put16(ip, 0x6000);
    Put16(ip + 4, payload);
    Put16(ip + 6, kProtocolUdp << 8 | 0x40);
  }
  std::uint8_t* const addresses = ip + (v4 ? 12 : 8);
  const std::size_t address_bytes = v4 ? 4 : 16;
  PutAddress(addresses, traffic.source);
  PutAddress(addresses + address_bytes, traffic.destination);
  Put16(udp + 4, payload);
  writer.source_at_ = static_cast<std::size_t>(addresses - frame) + address_bytes - 4;
  writer.ports_at_ = kEthernet + ip_bytes;
  std::uint8_t* const last = frame + writer.source_at_;
  writer.first_source_ = Get16(last) << 16 | Get16(last + 2);
  Put32(last, 0);
  if (v4)
    writer.ip_sum_ = SumOf(ip, kIpv4);
  else
    writer.udp_sum_ = SumOf(addresses, 2 * address_bytes) + payload + kProtocolUdp + SumOf(udp, kUdp);
  return writer;
}

StatusOr<FrameWriter> FrameWriter::FromLoad(const std::string& load, std::size_t bytes) {
  FrameWriter writer;
  writer.frame_.resize(bytes);
  std::uint8_t* const raw = reinterpret_cast<std::uint8_t*>(&writer.load_.emplace());
  bool right = load.size() == 2 * sizeof(perf_load) && bytes >= PERF_LOAD_HEADERS && bytes <= kLongest;
  for (std::size_t i = 0; right && i < sizeof(perf_load); ++i)
    right = std::from_chars(load.data() + 2 * i, load.data() + 2 * i + 2, raw[i], 16).ptr == load.data() + 2 * i + 2;
  if (!right || writer.load_->flows == 0) return InvalidError("{} is no load of frames of {} bytes", load, bytes);
  return writer;
}

// As the generator of perf/bpf/rate.bpf.c.
std::uint32_t FrameWriter::NextFlow() {
  if (!traffic_.random) return static_cast<std::uint32_t>(state_++ % traffic_.flows);
  state_ = state_ * 6364136223846793005ULL + 1442695040888963407ULL;  // Knuth's MMIX; the high bits are good
  return static_cast<std::uint32_t>(state_ >> 33) % traffic_.flows;
}

void FrameWriter::Write(std::uint8_t* to) {
  std::memcpy(to, frame_.data(), frame_.size());
  if (load_) return perf_write_packet(&*load_, to);
  const std::uint32_t number = NextFlow();
  const std::uint32_t by_ports = traffic_.stride == 0 ? number : 0;
  const std::uint32_t source = first_source_ + number * traffic_.stride;
  const std::uint32_t client = PERF_FIRST_CLIENT_PORT + by_ports % PERF_CLIENT_PORTS;
  const std::uint32_t service = PERF_FIRST_SERVICE_PORT + by_ports / PERF_CLIENT_PORTS;
  Put32(to + source_at_, source);
  Put16(to + ports_at_, traffic_.answer ? service : client);
  Put16(to + ports_at_ + 2, traffic_.answer ? client : service);
  if (ip_sum_ != 0) Put16(to + kEthernet + 10, Checksum(ip_sum_ + HalvesOf(source)));  // UDP over IPv4 may have none
  if (udp_sum_ == 0) return;
  const std::uint32_t sum = Checksum(udp_sum_ + HalvesOf(source) + client + service);
  Put16(to + ports_at_ + 6, sum == 0 ? 0xffff : sum);
}

std::optional<FlowKey> FlowOf(const std::uint8_t* frame, std::size_t bytes) {
  const Layout layout = LayoutOf(frame, bytes);
  if (layout.addresses == 0) return std::nullopt;
  FlowKey key{};
  std::copy(frame + layout.addresses, frame + layout.ports + 4, key.begin());  // they stand side by side
  return key;
}

}  // namespace sluice::perf
