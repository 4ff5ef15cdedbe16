// A renamed row must not silently become a goal that is "not measured".
#include "perf/goals.h"

#include <gtest/gtest.h>

#include <set>

#include "perf/suite.h"

namespace sluice::perf {
namespace {

std::set<std::string> RowsOf(const std::string& suite) {
  for (const Suite& one : Suites()) {
    if (suite != one.name) continue;
    const std::vector<std::string> rows = one.rows(false);
    std::set<std::string> names(rows.begin(), rows.end());
    EXPECT_EQ(names.size(), rows.size()) << suite << " has two rows of one name";
    return names;
  }
  ADD_FAILURE() << "there is no suite " << suite;
  return {};
}

TEST(BenchGoals, EveryRowIsOneThatItsSuiteMeasures) {
  for (const Goal& goal : Goals()) {
    EXPECT_NE(goal.figure.suite, nullptr) << goal.what;
    for (const RowName& name :
         {goal.figure, goal.unit, goal.more, goal.less, goal.why.row, goal.why.longer, goal.why.than}) {
      if (name.suite == nullptr) continue;
      EXPECT_TRUE(RowsOf(name.suite).contains(name.row)) << goal.what << ": " << name.suite << ' ' << name.row;
    }
  }
}

TEST(BenchGoals, TheRowsOfASuiteAreThoseOfFiguresUnitsAndReasons) {
  const std::set<std::string> tcp = RowsOf(PacketGoals(), "tcp");
  EXPECT_TRUE(tcp.contains("sluice/rules:100/connect/close a second"));
  EXPECT_TRUE(tcp.contains("route/connect/close a second"));
  EXPECT_FALSE(tcp.contains("bridge/connect/close a second"));
  EXPECT_TRUE(RowsOf(PacketGoals(), "program").contains("floor/tc/parse")) << "a part of a unit";
  EXPECT_TRUE(RowsOf(PacketGoals(), "exec").empty());
}

TEST(BenchGoals, ARowThatIsAskedForByNameBringsNoOthers) {
  RunOptions options;
  options.rows = {"sluice/uplink/denied/pods:1"};
  EXPECT_TRUE(IsSelected(options, "sluice/uplink/denied/pods:1"));
  EXPECT_FALSE(IsSelected(options, "sluice/uplink/denied/pods:1000"));
  options.filters = {"cidrs"};
  EXPECT_FALSE(IsSelected(options, "sluice/uplink/denied/pods:1"));
}

TEST(BenchRows, TheShortFormOfEachSuiteHasRows) {
  for (const Suite& suite : Suites()) EXPECT_FALSE(suite.rows(true).empty()) << suite.name;
}

}  // namespace
}  // namespace sluice::perf
