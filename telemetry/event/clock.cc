#include "telemetry/event/clock.h"

#include <cstdlib>
#include <ctime>
#include <utility>

namespace sluice::telemetry {
namespace {

constexpr std::int64_t kSecondNs = 1'000'000'000;
// Two clocks count as read together if at most this time passed; else they are read again, up to kAttempts times.
constexpr std::uint64_t kTogetherNs = 2'000;
constexpr int kAttempts = 20;
// A smaller difference is inexact reading, not a setting of the clock.
constexpr std::int64_t kSettingNs = 10'000'000;
// When there are more, the oldest is forgotten; that changes the wall time only of times before all others.
constexpr std::size_t kMaxSettings = 256;

std::uint64_t Read(clockid_t clock) {
  timespec time{};
  clock_gettime(clock, &time);
  return static_cast<std::uint64_t>(time.tv_sec) * kSecondNs + static_cast<std::uint64_t>(time.tv_nsec);
}

// The best of a few attempts, because the thread may lose the CPU between two readings.
ClockReading ReadTogether(clockid_t clock) {
  ClockReading best;
  std::uint64_t best_took = UINT64_MAX;
  for (int i = 0; i < kAttempts && best_took > kTogetherNs; i++) {
    const std::uint64_t before = Read(clock), wall = Read(CLOCK_REALTIME), took = Read(clock) - before;
    if (took >= best_took) continue;
    best = {.monotonic_ns = before + took / 2, .realtime_ns = wall};
    best_took = took;
  }
  return best;
}

std::int64_t OffsetOf(const ClockReading& reading) {
  return static_cast<std::int64_t>(reading.realtime_ns - reading.monotonic_ns);
}

}  // namespace

ClockReading ReadClocks() { return ReadTogether(CLOCK_MONOTONIC); }

ClockReading ReadBootClock() { return ReadTogether(CLOCK_BOOTTIME); }

WallClock::WallClock(Clock clock) : clock_(std::move(clock)) {
  const ClockReading now = clock_();
  read_ns_ = now.monotonic_ns;
  settings_.push_back({0, OffsetOf(now)});
}

// A new setting applies from the last reading on, because no later time has been converted yet.
void WallClock::Follow() {
  const ClockReading now = clock_();
  const std::uint64_t before_ns = std::exchange(read_ns_, now.monotonic_ns);
  const std::int64_t offset = OffsetOf(now);
  if (std::abs(offset - settings_.back().offset_ns) < kSettingNs) return;
  settings_.push_back({before_ns, offset});
  if (settings_.size() > kMaxSettings) settings_.erase(settings_.begin());
}

std::uint64_t WallClock::Now() {
  const std::lock_guard lock(mutex_);
  Follow();
  return read_ns_;
}

google::protobuf::Timestamp WallClock::At(std::uint64_t kernel_ns) {
  const std::lock_guard lock(mutex_);
  Follow();
  auto setting = settings_.rbegin();
  while (setting->since_ns >= kernel_ns && setting + 1 != settings_.rend()) ++setting;
  const std::int64_t wall = static_cast<std::int64_t>(kernel_ns) + setting->offset_ns;
  google::protobuf::Timestamp time;
  time.set_seconds(wall / kSecondNs);
  time.set_nanos(static_cast<std::int32_t>(wall % kSecondNs));
  return time;
}

}  // namespace sluice::telemetry
