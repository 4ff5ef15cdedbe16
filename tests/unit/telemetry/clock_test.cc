#include "telemetry/event/clock.h"

#include <google/protobuf/util/time_util.h>
#include <gtest/gtest.h>

namespace sluice::telemetry {
namespace {

using google::protobuf::util::TimeUtil;

constexpr std::int64_t kNsPerSecond = 1'000'000'000;

class WallClockTest : public ::testing::Test {
 protected:
  std::int64_t At(std::uint64_t kernel_ns) { return TimeUtil::TimestampToNanoseconds(clock_.At(kernel_ns)); }

  ClockReading now_{.monotonic_ns = 1000 * kNsPerSecond, .realtime_ns = 1'000'000 * kNsPerSecond};
  WallClock clock_{[this] { return now_; }};
};

TEST_F(WallClockTest, AMomentHasOneWallTimeHoweverTheReadingsDiffer) {
  const std::int64_t told = At(900 * kNsPerSecond);
  EXPECT_EQ(told, (1'000'000 - 100) * kNsPerSecond);
  for (const std::int64_t late : {300, -5000, 4'000'000}) {
    now_.monotonic_ns += kNsPerSecond;
    now_.realtime_ns = 1'000'000 * kNsPerSecond + (now_.monotonic_ns - 1000 * kNsPerSecond) + late;
    EXPECT_EQ(At(900 * kNsPerSecond), told);
  }
}

TEST_F(WallClockTest, SettingTheClockMovesNothingThatWas) {
  const std::int64_t before = At(999 * kNsPerSecond);
  for (const std::int64_t step : {3600 * kNsPerSecond, -7200 * kNsPerSecond}) {
    now_.monotonic_ns += 10 * kNsPerSecond;
    now_.realtime_ns += 10 * kNsPerSecond + step;
    EXPECT_EQ(At(999 * kNsPerSecond), before);
    EXPECT_EQ(At(now_.monotonic_ns), static_cast<std::int64_t>(now_.realtime_ns)) << "what happens from now on";
  }
  EXPECT_EQ(At(1010 * kNsPerSecond), 1'000'010 * kNsPerSecond + 3600 * kNsPerSecond) << "between the two";
}

TEST_F(WallClockTest, ASettingHoldsFromTheLastReadingBeforeItOn) {
  now_ = {.monotonic_ns = 1010 * kNsPerSecond, .realtime_ns = 1'000'010 * kNsPerSecond};
  EXPECT_EQ(clock_.Now(), 1010 * kNsPerSecond);
  now_ = {.monotonic_ns = 1020 * kNsPerSecond, .realtime_ns = 5'000'020 * kNsPerSecond};  // set in between, noticed now
  EXPECT_EQ(clock_.Now(), 1020 * kNsPerSecond);
  now_ = {.monotonic_ns = 1030 * kNsPerSecond, .realtime_ns = 5'000'030 * kNsPerSecond};
  EXPECT_EQ(At(1010 * kNsPerSecond), 1'000'010 * kNsPerSecond) << "told before";
  EXPECT_EQ(At(1015 * kNsPerSecond), 5'000'015 * kNsPerSecond) << "before it was noticed";
}

TEST_F(WallClockTest, WhatIsToldOfTheMomentOfTheNoticingHasTheNewTime) {
  now_.realtime_ns += 3600 * kNsPerSecond;
  WallClock ticking{[this] {
    now_.monotonic_ns += 1000;  // each reading is at another moment
    now_.realtime_ns += 1000;
    return now_;
  }};
  now_.realtime_ns += 3600 * kNsPerSecond;
  const std::int64_t told = TimeUtil::TimestampToNanoseconds(ticking.AtNow());
  EXPECT_LE(std::abs(told - static_cast<std::int64_t>(now_.realtime_ns)), 10'000);
}

TEST_F(WallClockTest, BoundedHoweverOftenTheClockIsSet) {
  for (int i = 0; i < 10000; i++) {
    now_.monotonic_ns += kNsPerSecond;
    now_.realtime_ns += (i % 2 == 0 ? 100 : -90) * kNsPerSecond;
    EXPECT_EQ(At(now_.monotonic_ns), static_cast<std::int64_t>(now_.realtime_ns));
  }
}

TEST(Clocks, AreReadTogether) {
  for (int i = 0; i < 100; i++) {
    const ClockReading reading = ReadClocks();
    EXPECT_GT(reading.realtime_ns, reading.monotonic_ns);
  }
}

}  // namespace
}  // namespace sluice::telemetry
