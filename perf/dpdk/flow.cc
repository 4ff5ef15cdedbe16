#include "perf/dpdk/flow.h"

#include <netinet/in.h>

#include <algorithm>

namespace sluice::perf {
namespace {

constexpr std::size_t kEthernet = 14, kIpv4 = 20, kIpv6 = 40, kUdp = 8, kPorts = 4;

// Addresses and ports are adjacent.
FlowKey KeyAt(std::span<const std::uint8_t> frame, std::size_t addresses, std::size_t ports) {
  FlowKey key{};
  std::copy(frame.begin() + static_cast<std::ptrdiff_t>(addresses),
            frame.begin() + static_cast<std::ptrdiff_t>(ports + kPorts), key.begin());
  return key;
}

}  // namespace

std::optional<FlowKey> FlowOf(std::span<const std::uint8_t> frame) {
  if (frame.size() < kEthernet + kIpv4 + kUdp) return std::nullopt;
  const int type = frame[12] << 8 | frame[13];
  const std::uint8_t* const ip = frame.data() + kEthernet;
  if (type == 0x0800 && ip[0] == 0x45 && ip[9] == IPPROTO_UDP) return KeyAt(frame, kEthernet + 12, kEthernet + kIpv4);
  if (type == 0x86dd && frame.size() >= kEthernet + kIpv6 + kUdp && ip[6] == IPPROTO_UDP)
    return KeyAt(frame, kEthernet + 8, kEthernet + kIpv6);
  return std::nullopt;
}

}  // namespace sluice::perf
