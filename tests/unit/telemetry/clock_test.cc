#include "telemetry/event/clock.h"

#include <google/protobuf/util/time_util.h>
#include <gtest/gtest.h>

namespace sluice::telemetry {
namespace {

using google::protobuf::util::TimeUtil;

constexpr std::int64_t kSecond = 1'000'000'000;

class WallClockTest : public ::testing::Test {
 protected:
  std::int64_t At(std::uint64_t kernel_ns) { return TimeUtil::TimestampToNanoseconds(clock_.At(kernel_ns)); }

  ClockReading now_{.monotonic_ns = 1000 * kSecond, .realtime_ns = 1'000'000 * kSecond};
  WallClock clock_{[this] { return now_; }};
};

TEST_F(WallClockTest, AMomentHasOneWallTimeHoweverTheReadingsDiffer) {
  const std::int64_t told = At(900 * kSecond);
  EXPECT_EQ(told, (1'000'000 - 100) * kSecond);
  for (const std::int64_t late : {300, -5000, 4'000'000}) {
    now_.monotonic_ns += kSecond;
    now_.realtime_ns = 1'000'000 * kSecond + (now_.monotonic_ns - 1000 * kSecond) + late;
    EXPECT_EQ(At(900 * kSecond), told);
  }
}

TEST_F(WallClockTest, SettingTheClockMovesNothingThatWas) {
  const std::int64_t before = At(999 * kSecond);
  for (const std::int64_t step : {3600 * kSecond, -7200 * kSecond}) {
    now_.monotonic_ns += 10 * kSecond;
    now_.realtime_ns += 10 * kSecond + step;
    EXPECT_EQ(At(999 * kSecond), before);
    EXPECT_EQ(At(now_.monotonic_ns), static_cast<std::int64_t>(now_.realtime_ns)) << "what happens from now on";
  }
  EXPECT_EQ(At(1010 * kSecond), 1'000'010 * kSecond + 3600 * kSecond) << "between the two";
}

TEST_F(WallClockTest, ASettingHoldsFromTheLastReadingBeforeItOn) {
  now_ = {.monotonic_ns = 1010 * kSecond, .realtime_ns = 1'000'010 * kSecond};
  EXPECT_EQ(clock_.Now(), 1010 * kSecond);
  now_ = {.monotonic_ns = 1020 * kSecond, .realtime_ns = 5'000'020 * kSecond};  // set in between, detected now
  EXPECT_EQ(clock_.Now(), 1020 * kSecond);
  now_ = {.monotonic_ns = 1030 * kSecond, .realtime_ns = 5'000'030 * kSecond};
  EXPECT_EQ(At(1010 * kSecond), 1'000'010 * kSecond) << "told before";
  EXPECT_EQ(At(1015 * kSecond), 5'000'015 * kSecond) << "before it was noticed";
}

TEST_F(WallClockTest, WhatIsToldOfTheMomentOfTheNoticingHasTheNewTime) {
  now_.realtime_ns += 3600 * kSecond;
  WallClock ticking{[this] {
    now_.monotonic_ns += 1000;  // each reading is at another moment
    now_.realtime_ns += 1000;
    return now_;
  }};
  now_.realtime_ns += 3600 * kSecond;
  const std::int64_t told = TimeUtil::TimestampToNanoseconds(ticking.AtNow());
  EXPECT_LE(std::abs(told - static_cast<std::int64_t>(now_.realtime_ns)), 10'000);
}

TEST_F(WallClockTest, BoundedHoweverOftenTheClockIsSet) {
  for (int i = 0; i < 10000; i++) {
    now_.monotonic_ns += kSecond;
    now_.realtime_ns += (i % 2 == 0 ? 100 : -90) * kSecond;
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
