// A clock that only moves when a test moves it. Thread-safe.
#pragma once

#include <atomic>

#include "telemetry/event/clock.h"

namespace sluice::test {

class FakeClock {
 public:
  static constexpr std::uint64_t kSecond = 1'000'000'000;
  static constexpr std::uint64_t kBoot = 1'700'000'000 * kSecond;  // 2023-11-14T22:13:20Z

  explicit FakeClock(std::uint64_t monotonic_ns = 100'000 * kSecond) : monotonic_ns_(monotonic_ns) {}

  std::uint64_t now() const { return monotonic_ns_; }
  void Advance(std::uint64_t ns) { monotonic_ns_ += ns; }
  // Refers to this clock, which must outlive it.
  telemetry::Clock reader() {
    return [this] {
      const std::uint64_t now = monotonic_ns_;
      return telemetry::ClockReading{.monotonic_ns = now, .realtime_ns = kBoot + now};
    };
  }

 private:
  std::atomic<std::uint64_t> monotonic_ns_;
};

}  // namespace sluice::test
