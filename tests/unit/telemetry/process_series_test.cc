#include "telemetry/flow/process_series.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace sluice::telemetry {
namespace {

using ::testing::ElementsAre;

using Growth = std::map<ProcessSeries::Program, ProcessCounters>;

ProcessCounters Sent(std::uint64_t bytes) {
  ProcessCounters counters;
  counters.egress.bytes = bytes;
  return counters;
}

LocalWorkloads Pods(std::uint32_t count) {
  LocalWorkloads names;
  for (std::uint32_t i = 1; i <= count; i++) names[i] = {"shop", fmt::format("pod-{}", i)};
  return names;
}

// "shop/pod-1 /bin/a=5", "other other=0"
std::vector<std::string> Bytes(const ProcessSeries& series) {
  std::vector<std::string> out;
  for (const auto& row : series.Rows())
    out.push_back(fmt::format("{} {}={}", row.workload.ToString(), row.binary, row.counters.egress.bytes));
  return out;
}

TEST(ProcessSeries, GrowthAddsUpByWorkloadAndBinary) {
  ProcessSeries series(16);
  series.Update({{{1, "/bin/a"}, Sent(5)}, {{1, "/bin/b"}, Sent(7)}, {{2, "/bin/a"}, Sent(1)}}, Pods(2));
  series.Update({{{1, "/bin/a"}, Sent(1)}}, Pods(2));
  EXPECT_THAT(Bytes(series),
              ElementsAre("shop/pod-1 /bin/a=6", "shop/pod-1 /bin/b=7", "shop/pod-2 /bin/a=1", "other other=0"));
}

TEST(ProcessSeries, EveryNumberOfBothDirectionsAddsUp) {
  ProcessCounters one;
  std::uint64_t number = 1;
  for (ProcessTotals* totals : {&one.egress, &one.ingress}) {
    for (std::uint64_t* value :
         {&totals->forwarded_flows, &totals->audited_flows, &totals->dropped_flows, &totals->bytes})
      *value = number++;
    for (std::uint64_t& value : totals->dropped_packets) value = number++;
  }
  ProcessSeries series(16);
  for (int i = 0; i < 2; i++) series.Update({{{1, "/bin/a"}, one}}, Pods(1));
  number = 1;
  const ProcessSeries::Row row = series.Rows().front();
  for (const ProcessTotals* totals : {&row.counters.egress, &row.counters.ingress}) {
    for (const std::uint64_t value :
         {totals->forwarded_flows, totals->audited_flows, totals->dropped_flows, totals->bytes})
      EXPECT_EQ(value, 2 * number++);
    for (const std::uint64_t value : totals->dropped_packets) EXPECT_EQ(value, 2 * number++);
  }
}

TEST(ProcessSeries, TheRestIsSummedUp) {
  ProcessSeries series(2);
  const Growth growth = {{{1, "/bin/a"}, Sent(1)}, {{2, "/bin/a"}, Sent(2)}, {{3, "/bin/a"}, Sent(4)}};
  series.Update(growth, Pods(3));
  series.Update(growth, Pods(3));
  EXPECT_THAT(Bytes(series), ElementsAre("shop/pod-1 /bin/a=2", "shop/pod-2 /bin/a=4", "other other=8"));
}

TEST(ProcessSeries, OfNoneSumsUpAll) {
  ProcessSeries series(0);
  series.Update({{{1, "/bin/a"}, Sent(5)}, {{2, "/bin/b"}, Sent(7)}}, Pods(2));
  EXPECT_THAT(Bytes(series), ElementsAre("other other=12"));
}

TEST(ProcessSeries, WorkloadThatRunsEverNewProgramsLeavesTheOthersTheirPlaces) {
  ProcessSeries series(16);
  Growth growth;
  for (int i = 0; i < 1000; i++) growth[{1, fmt::format("/tmp/{:03}", i)}] = Sent(1);
  growth[{2, "/bin/a"}] = Sent(5);
  series.Update(growth, Pods(2));
  EXPECT_THAT(Bytes(series),
              ElementsAre("shop/pod-1 /tmp/000=1", "shop/pod-1 /tmp/001=1", "shop/pod-2 /bin/a=5", "other other=998"));
}

TEST(ProcessSeries, NumberOfSeriesIsBounded) {
  ProcessSeries series(100);
  Growth growth;
  for (std::uint32_t pod = 1; pod <= 50; pod++)
    for (int i = 0; i < 50; i++) growth[{pod, fmt::format("/tmp/{}", i)}] = Sent(1);
  series.Update(growth, Pods(50));
  EXPECT_EQ(series.Rows().size(), 101U);
}

TEST(ProcessSeries, SeriesGoWithTheirWorkload) {
  ProcessSeries series(16);
  const Growth growth = {{{1, "/bin/a"}, Sent(5)}, {{2, "/bin/a"}, Sent(7)}};
  series.Update(growth, Pods(2));
  series.Update(growth, Pods(1));
  EXPECT_THAT(Bytes(series), ElementsAre("shop/pod-1 /bin/a=10", "other other=0"));
  series.Update({{{2, "/bin/a"}, Sent(1)}}, Pods(2));
  EXPECT_THAT(Bytes(series), ElementsAre("shop/pod-1 /bin/a=10", "shop/pod-2 /bin/a=1", "other other=0"));
}

TEST(ProcessSeries, FreedPlaceCountsNoPastTwice) {
  ProcessSeries series(1);
  series.Update({{{1, "/bin/a"}, Sent(5)}, {{2, "/bin/a"}, Sent(7)}}, Pods(2));
  series.Update({{{2, "/bin/a"}, Sent(1)}}, {{2, {"shop", "pod-2"}}});
  EXPECT_THAT(Bytes(series), ElementsAre("shop/pod-2 /bin/a=1", "other other=7"));
}

TEST(ProcessSeries, NoProgramHasTheLabelsOfTheRest) {
  ProcessSeries series(16);
  series.Update({{{1, "other"}, Sent(5)}}, {{1, {"shop", "other"}}});
  const auto rows = series.Rows();
  ASSERT_EQ(rows.size(), 2U);
  EXPECT_EQ(rows[0].workload.ns, "shop");
  EXPECT_EQ(rows[1].workload.ns, "");
}

}  // namespace
}  // namespace sluice::telemetry
