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

// Thread-safe.
using SourceStates = std::function<std::vector<SourceState>()>;

}  // namespace sluice::telemetry
