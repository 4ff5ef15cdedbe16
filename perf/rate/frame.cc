#include "perf/rate/frame.h"

#include <arpa/inet.h>
#include <netinet/ether.h>

#include <cstring>

namespace sluice::perf {
namespace {

constexpr std::size_t kEthernet = 14, kIpv4 = 20;

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

Status PutIpv4(__u8* at, const std::string& text) {
  return inet_pton(AF_INET, text.c_str(), at) == 1 ? OkStatus() : InvalidError("{} is no IPv4 address", text);
}

}  // namespace

Status FillHeaders(const Ends& ends, perf_load* load) {
  __u8* const frame = load->headers;
  std::memset(frame, 0, sizeof(load->headers));
  SL_RETURN_IF_ERROR(PutMac(frame, ends.destination_mac));
  SL_RETURN_IF_ERROR(PutMac(frame + 6, ends.source_mac));
  Put16(frame + 12, 0x0800);
  __u8* const ip = frame + kEthernet;
  Put16(ip, 0x4500);
  Put16(ip + 2, kFrameBytes - kEthernet);
  Put16(ip + 6, 0x4000);  // do not fragment
  Put16(ip + 8, 0x4011);  // TTL 64, UDP
  SL_RETURN_IF_ERROR(PutIpv4(ip + 16, ends.destination));
  load->header_sum = 0;  // the source is still zero
  for (std::size_t i = 0; i < kIpv4; i += 2) load->header_sum += ip[i] << 8 | ip[i + 1];
  SL_RETURN_IF_ERROR(PutIpv4(ip + 12, ends.source));
  load->source = static_cast<__u32>(ip[12]) << 24 | ip[13] << 16 | ip[14] << 8 | ip[15];
  Put16(ip + kIpv4, PERF_FIRST_CLIENT_PORT);
  Put16(ip + kIpv4 + 2, PERF_FIRST_SERVICE_PORT);
  Put16(ip + kIpv4 + 4, kFrameBytes - kEthernet - kIpv4);  // no checksum
  return OkStatus();
}

}  // namespace sluice::perf
