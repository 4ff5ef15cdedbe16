#include "telemetry/metrics/workload_series.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace sluice::telemetry {
namespace {

using ::testing::ElementsAre;

using Counters = std::map<std::uint32_t, sl_endpoint_counters>;
using PodNames = std::map<std::uint32_t, policy::ObjectName>;

sl_endpoint_counters SentPackets(std::uint64_t packets) {
  sl_endpoint_counters counters{};
  counters.egress[SL_DROP_NONE] = {packets, packets * 100};
  return counters;
}

PodNames Pods(int count) {
  PodNames names;
  for (int i = 1; i <= count; i++) names[static_cast<std::uint32_t>(i)] = {"shop", fmt::format("pod-{}", i)};
  return names;
}

// "shop/pod-1=5", "other=0"
std::vector<std::string> Packets(const std::vector<WorkloadSeries::Row>& rows) {
  std::vector<std::string> out;
  for (const auto& row : rows)
    out.push_back(fmt::format("{}={}", row.workload.ToString(), row.counters.egress[SL_DROP_NONE].packets));
  return out;
}

TEST(WorkloadSeries, EachHasItsOwnWhileThereIsRoom) {
  WorkloadSeries series(2);
  EXPECT_THAT(Packets(series.Update({{1, SentPackets(5)}, {2, SentPackets(7)}}, Pods(2))),
              ElementsAre("shop/pod-1=5", "shop/pod-2=7", "other=0"));
}

TEST(WorkloadSeries, TheRestIsSummedUp) {
  WorkloadSeries series(1);
  const auto rows = series.Update({{1, SentPackets(5)}, {2, SentPackets(7)}, {3, SentPackets(1)}}, Pods(3));
  EXPECT_THAT(Packets(rows), ElementsAre("shop/pod-1=5", "other=8"));
  EXPECT_EQ(rows[1].counters.egress[SL_DROP_NONE].bytes, 800U);
  EXPECT_THAT(Packets(series.Update({{1, SentPackets(5)}, {2, SentPackets(9)}, {3, SentPackets(1)}}, Pods(3))),
              ElementsAre("shop/pod-1=5", "other=10"));
}

TEST(WorkloadSeries, NumberOfSeriesIsBounded) {
  WorkloadSeries series(16);
  Counters counters;
  for (std::uint32_t i = 1; i <= 4000; i++) counters[i] = SentPackets(1);
  EXPECT_EQ(series.Update(counters, Pods(4000)).size(), 17U);
}

TEST(WorkloadSeries, OfNoneSumsUpAll) {
  WorkloadSeries series(0);
  EXPECT_THAT(Packets(series.Update({{1, SentPackets(5)}, {2, SentPackets(7)}}, Pods(2))), ElementsAre("other=12"));
}

TEST(WorkloadSeries, SumKeepsWhatDepartedWorkloadsDid) {
  WorkloadSeries series(1);
  series.Update({{1, SentPackets(5)}, {2, SentPackets(7)}}, Pods(2));
  EXPECT_THAT(Packets(series.Update({{1, SentPackets(5)}}, Pods(1))), ElementsAre("shop/pod-1=5", "other=7"));
}

TEST(WorkloadSeries, NumberThatIsUsedAgainStartsFromItsOwnZero) {
  WorkloadSeries series(1);
  PodNames names = Pods(2);
  series.Update({{1, SentPackets(5)}, {2, SentPackets(7)}}, names);
  names[2] = {"shop", "fresh"};
  EXPECT_THAT(Packets(series.Update({{1, SentPackets(5)}, {2, SentPackets(9)}}, names)),
              ElementsAre("shop/pod-1=5", "other=16"));
}

TEST(WorkloadSeries, CounterThatStartedAgainLowersNoSum) {
  WorkloadSeries series(0);
  series.Update({{1, SentPackets(100)}}, Pods(1));
  EXPECT_THAT(Packets(series.Update({{1, SentPackets(3)}}, Pods(1))), ElementsAre("other=103"));
  EXPECT_THAT(Packets(series.Update({{1, SentPackets(4)}}, Pods(1))), ElementsAre("other=104"));
}

TEST(WorkloadSeries, FreedPlaceIsTakenByANewWorkloadOnly) {
  WorkloadSeries series(1);
  PodNames names = Pods(2);
  series.Update({{1, SentPackets(5)}, {2, SentPackets(7)}}, names);
  names.erase(1);
  names[3] = {"shop", "pod-3"};
  // pod-2 is in the sum already: a series of its own would count its past twice.
  EXPECT_THAT(Packets(series.Update({{2, SentPackets(8)}, {3, SentPackets(1)}}, names)),
              ElementsAre("shop/pod-3=1", "other=8"));
}

TEST(WorkloadSeries, CountersOfNobodyAreLeftOut) {
  WorkloadSeries series(4);
  EXPECT_THAT(Packets(series.Update({{1, SentPackets(5)}, {9, SentPackets(9)}}, Pods(1))),
              ElementsAre("shop/pod-1=5", "other=0"));
}

// The invariant that rate() needs, with randomly added and removed workloads.
TEST(WorkloadSeries, NoSeriesEverGoesDownWhileItLives) {
  WorkloadSeries series(3);
  std::uint32_t random = 1;
  const auto next = [&random](std::uint32_t bound) {
    random = random * 1664525U + 1013904223U;
    return (random >> 16U) % bound;
  };
  PodNames names;
  Counters counters;
  std::map<std::string, std::uint64_t> seen;
  int born = 0;
  for (int step = 0; step < 3000; step++) {
    const std::uint32_t number = 1 + next(8);
    if (next(4) == 0) {
      names.erase(number);
      counters.erase(number);
    } else if (!names.contains(number)) {
      names[number] = {"shop", fmt::format("pod-{}", born++)};
      counters[number] = SentPackets(0);
    } else {
      counters[number].egress[SL_DROP_NONE].packets += next(10);
    }
    for (const auto& row : series.Update(counters, names)) {
      const std::uint64_t now = row.counters.egress[SL_DROP_NONE].packets;
      std::uint64_t& before = seen[row.workload.ToString()];
      ASSERT_GE(now, before) << row.workload.ToString() << " at step " << step;
      before = now;
    }
  }
}

}  // namespace
}  // namespace sluice::telemetry
