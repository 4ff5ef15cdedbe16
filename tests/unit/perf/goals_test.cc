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
    for (const RowName& name : {goal.figure, goal.unit, goal.why.row, goal.why.longer, goal.why.than}) {
      if (name.suite == nullptr) continue;
      EXPECT_TRUE(RowsOf(name.suite).contains(name.row)) << goal.what << ": " << name.suite << ' ' << name.row;
    }
  }
}

TEST(BenchRows, TheShortFormOfEachSuiteHasRows) {
  for (const Suite& suite : Suites()) EXPECT_FALSE(suite.rows(true).empty()) << suite.name;
}

}  // namespace
}  // namespace sluice::perf
