// What the product must reach: figures of a run beside goals. The goals are data, in goals.cc.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <ostream>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "perf/suite.h"

namespace sluice::perf {

struct RowName {
  const char* suite = nullptr;
  const char* row = nullptr;
};

struct Goal {
  enum class Is { kAtMost, kAtLeast };
  const char* what;
  RowName figure;
  RowName unit;  // what its median is divided by; without a suite: nothing
  Is is;
  double goal;
  const char* why_not_here = nullptr;  // a peer that cannot be measured here
};

std::span<const Goal> Goals();

using Reports = std::vector<std::pair<std::string, Report>>;  // by suite, in the order of the run

// Every goal with its figure, met or missed; goals whose rows the run has not are said to be not measured.
void PrintGoals(const Reports& reports, std::ostream& out);
nlohmann::json GoalsToJson(const Reports& reports);

}  // namespace sluice::perf
