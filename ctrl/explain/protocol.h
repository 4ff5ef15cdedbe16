// The protocol of a request. Pure.
#pragma once

#include <cstdint>
#include <string>

#include "base/status.h"

namespace sluice::explain {

// "TCP", "UDP", "SCTP", "ICMP", "ICMPv6" in any case, or a number. InvalidArgument: another text.
StatusOr<std::uint8_t> ParseProtocol(const std::string& text);
bool HasPorts(std::uint8_t protocol);

}  // namespace sluice::explain
