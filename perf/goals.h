// The performance goals, each with the row that it is compared with. The goals are data, in goals.cc.
#pragma once

#include <set>
#include <span>
#include <string>
#include <string_view>

namespace sluice::perf {

struct RowName {
  const char* suite = nullptr;
  const char* row = nullptr;
};

// Why a goal is missed: a measured explanation that holds for any run, and a figure of the run itself.
struct Reason {
  const char* text;
  const char* in_run = nullptr;  // format string for the value of `row`, in the goal's unit
  RowName row;
  // For rates: as if each packet took longer by the difference between `longer` and `than`, in nanoseconds.
  RowName longer;
  RowName than;
};

struct Goal {
  enum class Is { kAtMost, kAtLeast };
  const char* what;
  RowName figure;
  RowName unit;  // divides by this row's median; without a suite: no division
  Is is;
  double goal;
  Reason why;
  const char* unit_needs = nullptr;  // option that a run needs to measure the unit's row, if any
  // The unit is longer by `more` and shorter by `less`; without suites: it is not.
  RowName more = {};
  RowName less = {};
};

// The packet path under attack: the main table, which `--goals` measures.
std::span<const Goal> PacketGoals();
// All, the main table first.
std::span<const Goal> Goals();

// Every row that these goals and their reasons need of the suite.
std::set<std::string> RowsOf(std::span<const Goal> goals, std::string_view suite);

}  // namespace sluice::perf
