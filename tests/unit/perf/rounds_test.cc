// Values that Google Benchmark carries from a measurement to its row.
#include "perf/program/rounds.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace sluice::perf {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

Measurement MakeMeasurement(const std::string& name, std::function<StatusOr<Cost>()> measure) {
  return {.row = {.name = name}, .packets = 1000, .measure = std::move(measure)};
}

TEST(BenchRounds, EachRoundIsASampleOfTimeAndOfInstructionsWhereTheyAreCounted) {
  int round = 0;
  std::vector<Measurement> all;
  all.push_back(MakeMeasurement("counted", [&round] {
    ++round;
    return Cost{.nanoseconds = 10.0 * round, .instructions = 100.5 * round};
  }));
  all.push_back(MakeMeasurement("peer", [] { return Cost{.nanoseconds = 7}; }));
  // The counters were in use by others in the second round.
  all.push_back(MakeMeasurement("sometimes", [&round] {
    Cost cost{.nanoseconds = 5};
    if (round == 1) cost.instructions = 50;
    return cost;
  }));
  QuietCheck quiet = QuietCheck::Start(false);
  ASSERT_TRUE(RunRounds(2, &all, &quiet).ok());
  EXPECT_THAT(all[0].row.samples, ElementsAre(10, 20));
  EXPECT_THAT(all[0].row.instructions.samples, ElementsAre(100.5, 201));
  EXPECT_THAT(all[1].row.samples, ElementsAre(7, 7));
  EXPECT_THAT(all[1].row.instructions.samples, IsEmpty());
  EXPECT_THAT(all[2].row.instructions.samples, ElementsAre(50));
}

TEST(BenchRounds, ADisturbedRoundIsTakenAgainAndLeavesNoSample) {
  int round = 0;
  std::vector<Measurement> all;
  all.push_back(MakeMeasurement("counted", [&round] {
    ++round;
    Cost cost{.nanoseconds = 10.0 * round};
    if (round != 1) cost.instructions = round;
    return cost;
  }));
  // Five loops of calibration, and one before and after each round: the second round is disturbed at its end.
  int loops = 0;
  QuietCheck quiet(true, [&loops] { return ++loops == 5 + 2 + 2 ? 200.0 : 100.0; });
  ASSERT_TRUE(RunRounds(2, &all, &quiet).ok());
  EXPECT_THAT(all[0].row.samples, ElementsAre(10, 30));
  EXPECT_THAT(all[0].row.instructions.samples, ElementsAre(3));
  EXPECT_EQ(quiet.notes().size(), 2U);
}

TEST(BenchRounds, AnErrorNamesItsRowAndEndsTheRun) {
  int later = 0;
  std::vector<Measurement> all;
  all.push_back(MakeMeasurement("wrong", []() -> StatusOr<Cost> { return InvalidError("one packet passed"); }));
  all.push_back(MakeMeasurement("later", [&later] {
    ++later;
    return Cost{.nanoseconds = 1};
  }));
  QuietCheck quiet = QuietCheck::Start(false);
  const Status status = RunRounds(3, &all, &quiet);
  EXPECT_EQ(Message(status), "wrong: one packet passed");
  EXPECT_EQ(later, 0);
}

}  // namespace
}  // namespace sluice::perf
