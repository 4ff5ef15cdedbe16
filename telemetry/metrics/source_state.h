// What the agent keeps up to date from outside, such as a resource of an API server. A value.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace sluice::telemetry {

struct SourceState {
  std::string name;                                            // "pods"
  std::string state;                                           // one word for people
  bool synced = false;                                         // read as a whole, and no failure has followed
  std::optional<std::chrono::system_clock::time_point> since;  // of `synced`; none: since the start
  std::uint64_t objects = 0;
  std::uint64_t refused = 0;  // objects whose newest version is bad
  std::string problem;        // the last failure
  std::uint64_t errors = 0, bytes_received = 0, requests = 0;
};

// What the agent writes outside: Events and conditions, for an API server. A value.
struct SourceWrites {
  std::uint64_t queued = 0;    // they wait for their turn, or for the next try
  std::uint64_t requests = 0;  // tries count
  std::uint64_t succeeded = 0;
  std::uint64_t failed = 0;   // for good
  std::uint64_t dropped = 0;  // because the queue was full
};

// Thread-safe.
using SourceStates = std::function<std::vector<SourceState>()>;
using SourceWritesNow = std::function<SourceWrites()>;

}  // namespace sluice::telemetry
