// Which rounds count as disturbed, by loops with made-up times.
#include "perf/quiet_check.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <deque>

namespace sluice::perf {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr double kAlone = 1e6;

// The times of the next loops; then each loop takes kAlone.
class MadeUpLoop {
 public:
  QuietCheck::Loop loop() {
    return [this] {
      if (next_.empty()) return kAlone;
      const double took = next_.front();
      next_.pop_front();
      return took;
    };
  }
  void Next(std::initializer_list<double> times) { next_.assign(times); }

 private:
  std::deque<double> next_;
};

TEST(QuietCheck, NothingIsRepeatedOnAQuietMachine) {
  MadeUpLoop made_up;
  QuietCheck quiet(true, made_up.loop());
  for (int round = 0; round < 5; ++round) {
    quiet.BeginRound();
    EXPECT_FALSE(quiet.MustRepeat(round));
  }
  EXPECT_THAT(quiet.notes(), IsEmpty());
  quiet.Finish();
  EXPECT_THAT(quiet.notes(),
              ElementsAre("quiet check: the fixed loop took 1.0 to 1.0 ms; 0 rounds repeated, 0 disturbed"));
}

TEST(QuietCheck, WhatRunsAtTheEndOfARoundDisturbsIt) {
  MadeUpLoop made_up;
  QuietCheck quiet(true, made_up.loop());
  made_up.Next({kAlone, kAlone * 1.5});
  quiet.BeginRound();
  EXPECT_TRUE(quiet.MustRepeat(2));
  EXPECT_THAT(quiet.notes(),
              ElementsAre("round 3 was disturbed (the fixed loop took 1.50 times as long after it) and is "
                          "repeated"));
  quiet.BeginRound();
  EXPECT_FALSE(quiet.MustRepeat(2));
}

TEST(QuietCheck, ARoundWaitsForAQuietMoment) {
  MadeUpLoop made_up;
  QuietCheck quiet(true, made_up.loop());
  made_up.Next({kAlone * 2, kAlone * 2, kAlone});
  quiet.BeginRound();
  EXPECT_FALSE(quiet.MustRepeat(0));
  EXPECT_THAT(quiet.notes(), IsEmpty());
}

TEST(QuietCheck, AMachineThatIsNeverQuietEndsTheRunAllTheSame) {
  MadeUpLoop made_up;
  QuietCheck quiet(true, made_up.loop());
  int repeated = 0;
  for (int round = 0; round < 2; ++round) {
    do {
      made_up.Next({kAlone, kAlone * 3});
      quiet.BeginRound();
    } while (quiet.MustRepeat(round) && ++repeated < 100);
  }
  EXPECT_EQ(repeated, 3);
  EXPECT_THAT(quiet.notes().back(), HasSubstr("stands, as enough rounds were repeated"));
}

TEST(QuietCheck, ALoopThatWasSlowFromTheStartIsNotTheNorm) {
  MadeUpLoop made_up;
  made_up.Next({kAlone * 2, kAlone * 2, kAlone * 2, kAlone * 2, kAlone * 2});
  QuietCheck quiet(true, made_up.loop());
  made_up.Next({kAlone, kAlone * 2});
  quiet.BeginRound();
  EXPECT_TRUE(quiet.MustRepeat(0)) << "the loop is twice as fast alone";
}

TEST(QuietCheck, SwitchedOffItMeasuresNothing) {
  QuietCheck quiet = QuietCheck::Start(false);
  quiet.BeginRound();
  EXPECT_FALSE(quiet.MustRepeat(0));
  quiet.Finish();
  EXPECT_THAT(quiet.notes(), IsEmpty());
}

}  // namespace
}  // namespace sluice::perf
