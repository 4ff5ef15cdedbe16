// What the product must reach: figures of a run beside goals. The goals are data, in goals.cc.
#pragma once

#include <span>

namespace sluice::perf {

struct RowName {
  const char* suite = nullptr;
  const char* row = nullptr;
};

// Why a goal is missed where it is: what measurements have shown, true of any run; and a figure of the run itself.
struct Reason {
  const char* text;
  const char* in_run = nullptr;  // with a place for what `row` comes to in the place of the goal's figure
  RowName row;
  // Of rates: with packets that take as many nanoseconds longer as the first of these takes longer than the second.
  RowName longer;
  RowName than;
};

struct Goal {
  enum class Is { kAtMost, kAtLeast };
  const char* what;
  RowName figure;
  RowName unit;  // what its median is divided by; without a suite: nothing
  Is is;
  double goal;
  Reason why;
  const char* unit_needs = nullptr;  // what a run must be given to have the unit's row, where it must
};

std::span<const Goal> Goals();

}  // namespace sluice::perf
