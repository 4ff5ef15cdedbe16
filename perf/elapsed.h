// Elapsed time, in the units that rows use.
#pragma once

#include <chrono>

namespace sluice::perf {

using Clock = std::chrono::steady_clock;

inline double Milliseconds(Clock::time_point from, Clock::time_point to) {
  return std::chrono::duration<double, std::milli>(to - from).count();
}
inline double MillisecondsSince(Clock::time_point start) { return Milliseconds(start, Clock::now()); }

}  // namespace sluice::perf
