// Names of the kernel's numbers that values of filters may use: "AF_INET", "TCP_SYN_RECV", "CAP_NET_RAW", "reg". Pure.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "base/capability.h"

namespace sluice::policy::tracing {

struct NamedNumber {
  std::string_view name;
  std::uint32_t number = 0;
};

std::span<const NamedNumber> IpProtocols();      // IPPROTO_*, of linux/in.h
std::span<const NamedNumber> AddressFamilies();  // AF_*, of linux/socket.h
std::span<const NamedNumber> TcpStates();        // TCP_*, of net/tcp_states.h
std::span<const NamedNumber> FileTypes();        // S_IFMT's values by Tetragon's names: "reg", "regular", "dir", ...

inline constexpr std::uint32_t kLastIpProtocol = 262;  // IPPROTO_MPTCP
inline constexpr std::uint32_t kLastFamily = 45;       // AF_MCTP
inline constexpr std::uint32_t kLastTcpState = 13;     // TCP_BOUND_INACTIVE
inline constexpr std::uint64_t kAllCapabilities = (std::uint64_t{1} << (kLastCapability + 1)) - 1;

}  // namespace sluice::policy::tracing
