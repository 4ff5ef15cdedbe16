#include "telemetry/event/clock.h"

#include <cstdlib>
#include <ctime>
#include <utility>

namespace sluice::telemetry {
namespace {

constexpr std::int64_t kSecondNs = 1'000'000'000;
// Two readings belong together when no more time than this passed between them; else they are read again, so often.
constexpr std::uint64_t kTogetherNs = 2'000;
constexpr int kAttempts = 20;
// Less than this is how the readings differ, and no setting of the clock.
constexpr std::int64_t kSettingNs = 10'000'000;
// Beyond that the oldest are forgotten: only what is older than all others is then moved.
constexpr std::size_t kMaxSettings = 256;

std::uint64_t Read(clockid_t clock) {
  timespec time{};
  clock_gettime(clock, &time);
  return static_cast<std::uint64_t>(time.tv_sec) * kSecondNs + static_cast<std::uint64_t>(time.tv_nsec);
}

// The best of a few attempts: between two readings the thread may have to wait for a CPU.
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

// A clock that was set holds from the last reading on: nobody was told of anything later.
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
