// What the client takes from outside itself: clocks and randomness, so that tests can choose them.
#pragma once

#include <chrono>
#include <functional>

namespace sluice::kube {

using TimePoint = std::chrono::steady_clock::time_point;
using WallTime = std::chrono::system_clock::time_point;

// Called from the client's thread only.
struct Environment {
  std::function<TimePoint()> now;
  std::function<WallTime()> wall;  // for Retry-After dates and for what people read
  std::function<double()> random;  // uniform in [0, 1)
};

// The machine's clocks, and a random source seeded by it.
Environment RealEnvironment();

}  // namespace sluice::kube
