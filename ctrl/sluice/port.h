// A protocol and a port as people type them. Pure.
#pragma once

#include <cstdint>
#include <string>

#include "base/status.h"

namespace sluice::client {

struct ProtocolPort {
  std::string protocol;    // "TCP", "UDP", "SCTP", "ICMP", "ICMPv6"
  std::uint16_t port = 0;  // 0: the protocol has none
};

// "80/TCP", "80" (TCP), "ICMP"; protocols in any case. InvalidArgument says what is allowed.
StatusOr<ProtocolPort> ParseProtocolPort(const std::string& text);

}  // namespace sluice::client
