#include "perf/rate/frame.h"

#include <arpa/inet.h>
#include <netinet/ether.h>

#include <cstring>

namespace sluice::perf {
namespace {

constexpr std::size_t kEthernet = 14, kIpv4 = 20, kIpv6 = 40;

std::uint32_t Words(const __u8* begin, std::size_t bytes) {
  std::uint32_t sum = 0;
  for (std::size_t i = 0; i < bytes; i += 2) sum += begin[i] << 8 | begin[i + 1];
  return sum;
}

void Put16(__u8* at, std::uint32_t value) {
  at[0] = static_cast<__u8>(value >> 8);
  at[1] = static_cast<__u8>(value);
}

Status PutMac(__u8* at, const std::string& text) {
  ether_addr mac{};
  if (ether_aton_r(text.c_str(), &mac) == nullptr) return InvalidError("{} is no MAC", text);
  std::memcpy(at, mac.ether_addr_octet, sizeof(mac.ether_addr_octet));
  return OkStatus();
}

Status PutAddress(__u8* at, const std::string& text, bool v6) {
  return inet_pton(v6 ? AF_INET6 : AF_INET, text.c_str(), at) == 1
             ? OkStatus()
             : InvalidError("{} is no IPv{} address", text, v6 ? 6 : 4);
}

void PutPorts(__u8* udp, std::size_t length) {
  Put16(udp, PERF_FIRST_CLIENT_PORT);
  Put16(udp + 2, PERF_FIRST_SERVICE_PORT);
  Put16(udp + 4, static_cast<std::uint32_t>(length));
}

std::uint32_t LastFour(const __u8* end) {
  return static_cast<std::uint32_t>(end[-4]) << 24 | end[-3] << 16 | end[-2] << 8 | end[-1];
}

// IPv4's header has a checksum; UDP has none here.
Status FillIpv4(const Ends& ends, __u8* ip, perf_load* load) {
  Put16(ip, 0x4500);
  Put16(ip + 2, kFrameBytes - kEthernet);
  Put16(ip + 6, 0x4000);  // do not fragment
  Put16(ip + 8, 0x4011);  // TTL 64, UDP
  SL_RETURN_IF_ERROR(PutAddress(ip + 16, ends.destination, false));
  load->sum = Words(ip, kIpv4);  // the source is still zero
  SL_RETURN_IF_ERROR(PutAddress(ip + 12, ends.source, false));
  load->source = LastFour(ip + 16);
  PutPorts(ip + kIpv4, kFrameBytes - kEthernet - kIpv4);
  return OkStatus();
}

// UDP's checksum covers its header and a pseudo header: addresses, length, protocol.
Status FillIpv6(const Ends& ends, __u8* ip, perf_load* load) {
  constexpr std::uint32_t kLength = kFrameBytes - kEthernet - kIpv6, kUdp = 17;
  ip[0] = 0x60;
  Put16(ip + 4, kLength);
  Put16(ip + 6, kUdp << 8 | 64);  // hop limit
  SL_RETURN_IF_ERROR(PutAddress(ip + 8, ends.source, true));
  SL_RETURN_IF_ERROR(PutAddress(ip + 24, ends.destination, true));
  load->sum = Words(ip + 8, 12) + Words(ip + 24, 16) + 2 * kLength + kUdp;
  load->source = LastFour(ip + 24);
  PutPorts(ip + kIpv6, kLength);
  return OkStatus();
}

}  // namespace

Status FillHeaders(const Ends& ends, perf_load* load) {
  __u8* const frame = load->headers;
  std::memset(frame, 0, sizeof(load->headers));
  SL_RETURN_IF_ERROR(PutMac(frame, ends.destination_mac));
  SL_RETURN_IF_ERROR(PutMac(frame + 6, ends.source_mac));
  Put16(frame + 12, load->v6 != 0 ? 0x86dd : 0x0800);
  return load->v6 != 0 ? FillIpv6(ends, frame + kEthernet, load) : FillIpv4(ends, frame + kEthernet, load);
}

}  // namespace sluice::perf
