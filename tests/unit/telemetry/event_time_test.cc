#include "telemetry/event/event_time.h"

#include <google/protobuf/util/time_util.h>
#include <gtest/gtest.h>

#include <cstdint>

namespace sluice::telemetry {
namespace {

using google::protobuf::util::TimeUtil;

TEST(EventTime, IsCountedFrom1970) {
  EXPECT_EQ(NanosecondsOf(google::protobuf::Timestamp()), 0);
  for (const std::int64_t ns : {std::int64_t{1}, std::int64_t{-1}, std::int64_t{1'796'146'925'860'962'878}})
    EXPECT_EQ(NanosecondsOf(TimeUtil::NanosecondsToTimestamp(ns)), ns);
}

// A broken agent's, or a client's.
TEST(EventTime, OfAFarYearIsTheNearestNumber) {
  google::protobuf::Timestamp time;
  time.set_seconds(TimeUtil::kTimestampMaxSeconds);
  time.set_nanos(999'999'999);
  EXPECT_EQ(NanosecondsOf(time), INT64_MAX);
  time.set_seconds(TimeUtil::kTimestampMinSeconds);
  EXPECT_EQ(NanosecondsOf(time), INT64_MIN);
}

}  // namespace
}  // namespace sluice::telemetry
