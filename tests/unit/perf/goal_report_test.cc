// Goals and figures on made-up runs.
#include "perf/goal_report.h"

#include <gtest/gtest.h>

#include <map>
#include <nlohmann/json.hpp>
#include <sstream>

#include "perf/goals.h"

namespace sluice::perf {
namespace {

using Samples = std::vector<double>;

class MadeUpRun {
 public:
  void Set(const RowName& name, Samples samples) {
    if (name.suite != nullptr) rows_[name.suite][name.row] = std::move(samples);
  }
  Reports reports() const {
    Reports reports;
    for (const auto& [suite, rows] : rows_) {
      Report report;
      for (const auto& [name, samples] : rows) report.rows.push_back({.name = name, .samples = samples});
      reports.emplace_back(suite, std::move(report));
    }
    return reports;
  }
  std::string Printed() const {
    std::ostringstream out;
    PrintGoals(Goals(), reports(), out);
    return out.str();
  }
  nlohmann::json Json(const std::string& goal) const {
    for (const auto& one : GoalsToJson(Goals(), reports()))
      if (one["name"] == goal) return one;
    ADD_FAILURE() << "there is no goal " << goal;
    return {};
  }

 private:
  std::map<std::string, std::map<std::string, Samples>> rows_;
};

// A run with only the rows that the goal needs.
MadeUpRun RunOf(const Goal& goal, double figure) {
  MadeUpRun run;
  run.Set(goal.figure, {figure});
  run.Set(goal.unit, {1});
  run.Set(goal.more, {1});  // may be the unit itself
  run.Set(goal.less, {1});
  return run;
}

bool IsOf(const Goal& goal, const RowName& row) {
  for (const RowName& one : {goal.figure, goal.unit})
    if (one.suite != nullptr && std::string_view(one.row) == row.row) return true;
  return false;
}

double MissOf(const Goal& goal) { return goal.is == Goal::Is::kAtMost ? goal.goal * 2 + 1 : goal.goal / 2; }

TEST(BenchGoalReport, EveryGoalThatIsMissedSaysWhy) {
  for (const Goal& goal : Goals()) {
    const MadeUpRun run = RunOf(goal, MissOf(goal));
    const nlohmann::json json = run.Json(goal.what);
    EXPECT_EQ(json["met"], false) << json;
    ASSERT_NE(goal.why.text, nullptr) << goal.what;
    EXPECT_TRUE(json["why"].get<std::string>().starts_with(goal.why.text)) << json;
    EXPECT_NE(run.Printed().find("  MISSED\n    why: " + json["why"].get<std::string>() + '\n'), std::string::npos)
        << run.Printed();
  }
}

TEST(BenchGoalReport, AGoalThatIsMetNeedsNoReason) {
  for (const Goal& goal : Goals()) {
    const MadeUpRun run = RunOf(goal, goal.goal);
    const nlohmann::json json = run.Json(goal.what);
    EXPECT_EQ(json["met"], true) << json;
    EXPECT_FALSE(json.contains("why")) << json;
    EXPECT_NE(run.Printed().find("  met\n"), std::string::npos);
    EXPECT_EQ(run.Printed().find("why:"), std::string::npos);
  }
}

TEST(BenchGoalReport, ReasonsHaveAFigureOfTheRunWhereItsRowsWereMeasured) {
  for (const Goal& goal : Goals()) {
    if (goal.why.in_run == nullptr) continue;
    MadeUpRun run = RunOf(goal, MissOf(goal));
    if (!IsOf(goal, goal.why.row)) {
      EXPECT_EQ(run.Printed().find("in this run"), std::string::npos) << goal.what;
      run.Set(goal.why.row, {4321});
    }
    run.Set(goal.why.longer, {40});
    run.Set(goal.why.than, {30});
    EXPECT_NE(run.Printed().find("; in this run "), std::string::npos) << goal.what;
    EXPECT_EQ(run.Printed().find('{'), std::string::npos) << run.Printed();
  }
}

constexpr char kRedirect[] = "XDP policy + devmap redirect / bare redirect";

TEST(BenchGoalReport, ALookUpMakesEachPacketOfARateLonger) {
  MadeUpRun run;
  run.Set({"rate", "sluice/uplink/redirect/flows:1000"}, {3100, 3200, 3300});
  run.Set({"rate", "xdp/redirect/bare"}, {3900, 4000, 4100});  // 250 ns a packet
  EXPECT_TRUE(run.Json(kRedirect)["why"].get<std::string>().ends_with(
      "counters; samples 3100 to 3300, divided by 3900 to 4100"))
      << run.Json(kRedirect);
  run.Set({"program", "floor/xdp/hash/flows:1"}, {59, 61, 60});
  EXPECT_EQ(run.Json(kRedirect)["why"].get<std::string>().find("in this run"), std::string::npos);
  run.Set({"program", "floor/xdp/parse"}, {30});
  EXPECT_NE(
      run.Json(kRedirect)["why"].get<std::string>().find(
          "; in this run the bare redirect with one hot look-up in a hash map would come to 0.89; samples "),  // 250 /
                                                                                                               // 280
      std::string::npos)
      << run.Json(kRedirect);
}

TEST(BenchGoalReport, AFigureOfNoUnitIsShownAsItIs) {
  MadeUpRun run;
  run.Set({"scale", "idle/workloads:100/cpu"}, {0.4, 0.61, 0.7});
  run.Set({"scale", "idle/workloads:100/cpu/sensors-off"}, {0.1, 0.12, 0.3});
  const std::string why = run.Json("idle agent, 100 workloads, % of a core")["why"];
  EXPECT_TRUE(why.ends_with("; in this run without sensors it is 0.12 %; samples 0.40 to 0.70")) << why;
}

TEST(BenchGoalReport, AUnitMayHaveSeveralRows) {
  constexpr char kNew[] = "new flow, XDP / parse + two cold look-ups";
  MadeUpRun run;
  run.Set({"program", "xdp_uplink/v4/new/flows:100000/rules:1"}, {538});
  run.Set({"program", "floor/xdp/hash/flows:100000"}, {137});
  EXPECT_EQ(run.Json(kNew)["notMeasured"], "no row floor/xdp/parse of suite program");
  run.Set({"program", "floor/xdp/parse"}, {5});
  EXPECT_DOUBLE_EQ(run.Json(kNew)["figure"], 538.0 / (137 + 137 - 5));
}

TEST(BenchGoalReport, OnlyTheGoalsThatAreAskedForAreShown) {
  std::ostringstream out;
  PrintGoals(PacketGoals(), {}, out);
  EXPECT_NE(out.str().find("XDP deny, 10 k pods / nft netdev set"), std::string::npos);
  EXPECT_EQ(out.str().find("exec sensors"), std::string::npos);
  EXPECT_EQ(GoalsToJson(PacketGoals(), {}).size(), PacketGoals().size());
  EXPECT_GT(Goals().size(), PacketGoals().size());
}

TEST(BenchGoalReport, WithoutItsRowsAGoalIsNeitherMetNorMissed) {
  const nlohmann::json json = MadeUpRun().Json(kRedirect);
  EXPECT_EQ(json["notMeasured"], "no row sluice/uplink/redirect/flows:1000 of suite rate");
  EXPECT_FALSE(json.contains("met"));
  EXPECT_FALSE(json.contains("why"));
}

TEST(BenchGoalReport, WithoutAPeerThatMustBeGivenItSaysHow) {
  for (const Goal& goal : Goals()) {
    if (goal.unit_needs == nullptr) continue;
    MadeUpRun run;
    run.Set(goal.figure, {10});
    EXPECT_EQ(run.Json(goal.what)["notMeasured"], fmt::format("no row {}: {}", goal.unit.row, goal.unit_needs));
    EXPECT_NE(run.Printed().find(goal.unit_needs), std::string::npos) << run.Printed();
  }
}

}  // namespace
}  // namespace sluice::perf
