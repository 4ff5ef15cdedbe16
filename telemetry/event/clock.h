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

// Each moment of the kernel's clock has one wall time, whenever it is asked for: reading two clocks takes a moment, and
// when the wall clock is set, that counts for what happens from then on. When it was set can be told only as exactly as
// the clocks were read before: somebody has to ask for Now every now and then. Thread-safe.
class WallClock {
 public:
  explicit WallClock(Clock clock);

  std::uint64_t Now();
  google::protobuf::Timestamp At(std::uint64_t kernel_ns);
  google::protobuf::Timestamp AtNow() { return At(Now()); }

 private:
  // After `since_ns` of the kernel's clock, the wall clock is ahead of it by `offset_ns`.
  struct Setting {
    std::uint64_t since_ns;
    std::int64_t offset_ns;
  };
  void Follow();  // reads the clocks; under mutex_

  const Clock clock_;
  std::mutex mutex_;
  std::uint64_t read_ns_ = 0;      // when the clocks were read last
  std::vector<Setting> settings_;  // never empty; oldest first
};

}  // namespace sluice::telemetry
