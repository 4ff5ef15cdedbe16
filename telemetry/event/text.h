// Bytes of the kernel as text. Pure.
#pragma once

#include <string>
#include <string_view>

namespace sluice::telemetry {

// Valid UTF-8: a byte that is not part of a character becomes \xNN.
std::string ToUtf8(std::string_view bytes);

// "SIGKILL"; "SIG40" if the signal has no name.
std::string SignalName(int signal);

}  // namespace sluice::telemetry
