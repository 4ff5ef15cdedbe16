// Kernel time to wall time.
#pragma once

#include <cstdint>
#include <functional>

#include <google/protobuf/timestamp.pb.h>

namespace sluice::telemetry {

// Both clocks at one moment, nanoseconds.
struct ClockReading {
  std::uint64_t monotonic_ns = 0;
  std::uint64_t realtime_ns = 0;
};

using Clock = std::function<ClockReading()>;
ClockReading ReadClocks();
// The same with CLOCK_BOOTTIME in place of CLOCK_MONOTONIC: the clock of processes.
ClockReading ReadBootClock();

// When the clock of `now` said `monotonic_ns`, as seen from `now`.
google::protobuf::Timestamp WallTime(const ClockReading& now, std::uint64_t monotonic_ns);

}  // namespace sluice::telemetry
