// Kernel time to wall time.
#pragma once

#include <cstdint>
#include <functional>
#include <mutex>
#include <vector>

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

// Gives each kernel time one wall time that never changes, although reading two clocks is inexact and the wall clock
// may be set: a new setting applies only to later kernel times. The time of a setting is known only as exactly as the
// clocks are read, so Now must be called regularly. Thread-safe.
class WallClock {
 public:
  explicit WallClock(Clock clock);

  std::uint64_t Now();
  google::protobuf::Timestamp At(std::uint64_t kernel_ns);
  google::protobuf::Timestamp AtNow() { return At(Now()); }

 private:
  // After kernel time `since_ns`, the wall clock is ahead of it by `offset_ns`.
  struct Setting {
    std::uint64_t since_ns;
    std::int64_t offset_ns;
  };
  void Follow();  // reads the clocks; under mutex_

  const Clock clock_;
  std::mutex mutex_;
  std::uint64_t read_ns_ = 0;      // when the clocks were last read
  std::vector<Setting> settings_;  // never empty; oldest first
};

}  // namespace sluice::telemetry
