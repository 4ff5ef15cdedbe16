#include "ctrl/respond/limiter.h"

#include <gtest/gtest.h>

namespace sluice::respond {
namespace {

using namespace std::chrono_literals;
using policy::ObjectName;

const ObjectName kWeb{"shop", "web"}, kDb{"shop", "db"};

class LimiterTest : public testing::Test {
 protected:
  int TakeAll(Limiter& limiter, const ObjectName& workload) {
    int taken = 0;
    while (taken < 1000 && limiter.Take(workload, now_)) ++taken;
    return taken;
  }
  Limiter::Time now_{1h};
};

TEST_F(LimiterTest, OneWorkloadDoesNotUseUpTheOthersAnswers) {
  Limiter limiter({.per_workload = 3, .total = 100, .period_seconds = 60});
  EXPECT_EQ(TakeAll(limiter, kWeb), 3);
  EXPECT_EQ(TakeAll(limiter, kDb), 3);
  now_ += 20s;
  EXPECT_EQ(TakeAll(limiter, kWeb), 1) << "a third of the period";
  now_ += 10min;
  EXPECT_EQ(TakeAll(limiter, kWeb), 3) << "never more than in one period";
}

TEST_F(LimiterTest, AllTogetherHaveALimitToo) {
  Limiter limiter({.per_workload = 3, .total = 4, .period_seconds = 60});
  EXPECT_EQ(TakeAll(limiter, kWeb), 3);
  EXPECT_EQ(TakeAll(limiter, kDb), 1);
  EXPECT_EQ(TakeAll(limiter, {}), 0);
  now_ += 60s;
  EXPECT_EQ(TakeAll(limiter, kDb), 3);
}

TEST_F(LimiterTest, ItsMemoryIsBounded) {
  Limiter limiter({.per_workload = 1, .total = 10'000, .period_seconds = 60}, 2);
  EXPECT_EQ(TakeAll(limiter, kWeb), 1);
  EXPECT_EQ(TakeAll(limiter, kDb), 1);
  EXPECT_EQ(TakeAll(limiter, {"shop", "third"}), 0) << "no room while the others' are used";
  now_ += 60s;
  EXPECT_EQ(TakeAll(limiter, {"shop", "third"}), 1);
}

TEST_F(LimiterTest, AClockThatStandsStillGivesNothingMore) {
  Limiter limiter({.per_workload = 1, .total = 1, .period_seconds = 1});
  EXPECT_TRUE(limiter.Take(kWeb, now_));
  EXPECT_FALSE(limiter.Take(kWeb, now_));
  EXPECT_FALSE(limiter.Take(kWeb, now_ - 10s));
}

}  // namespace
}  // namespace sluice::respond
