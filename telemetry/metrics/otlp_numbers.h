// What became of what was to be sent to an OpenTelemetry collector. A value.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace sluice::telemetry {

struct OtlpNumbers {
  std::string signal;          // "logs", "metrics"
  std::uint64_t sent = 0;      // records or data points that the collector took
  std::uint64_t rejected = 0;  // of a request that it took but for these
  std::uint64_t refused = 0;   // in requests that it does not take
  std::uint64_t given_up = 0;  // it did not answer for too long, or the agent ended
  std::uint64_t no_room = 0;   // the queue was full
  std::uint64_t failures = 0;  // attempts
};

// Thread-safe.
using OtlpNow = std::function<std::vector<OtlpNumbers>()>;

}  // namespace sluice::telemetry
