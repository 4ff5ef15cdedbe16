// Bytes of the kernel as text. Pure.
#pragma once

#include <string>
#include <string_view>

namespace sluice::telemetry {

// Valid UTF-8: a byte that is not part of a character becomes \xNN.
std::string ToUtf8(std::string_view bytes);

// "CAP_NET_ADMIN"; a number that has no name here as "CAP_63".
std::string CapabilityName(unsigned capability);
// "SIGKILL"; "SIG40".
std::string SignalName(int signal);

}  // namespace sluice::telemetry
