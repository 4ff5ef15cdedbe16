#include "telemetry/clock.h"

#include <ctime>

namespace sluice::telemetry {
namespace {

constexpr std::int64_t kSecondNs = 1'000'000'000;

std::uint64_t Read(clockid_t clock) {
  timespec time{};
  clock_gettime(clock, &time);
  return static_cast<std::uint64_t>(time.tv_sec) * kSecondNs + static_cast<std::uint64_t>(time.tv_nsec);
}

}  // namespace

ClockReading ReadClocks() { return {.monotonic_ns = Read(CLOCK_MONOTONIC), .realtime_ns = Read(CLOCK_REALTIME)}; }

ClockReading ReadBootClock() { return {.monotonic_ns = Read(CLOCK_BOOTTIME), .realtime_ns = Read(CLOCK_REALTIME)}; }

google::protobuf::Timestamp WallTime(const ClockReading& now, std::uint64_t monotonic_ns) {
  const auto age = static_cast<std::int64_t>(now.monotonic_ns - monotonic_ns);
  const std::int64_t wall = static_cast<std::int64_t>(now.realtime_ns) - age;
  google::protobuf::Timestamp time;
  time.set_seconds(wall / kSecondNs);
  time.set_nanos(static_cast<std::int32_t>(wall % kSecondNs));
  return time;
}

}  // namespace sluice::telemetry
