// Measurements of suites that use real interfaces, interleaved: a round takes one sample of each, so that a slow spell
// of the machine meets all of them alike.
#pragma once

#include <functional>
#include <vector>

#include "perf/suite.h"

namespace sluice::perf {

// Rows that are measured together.
struct Scenario {
  std::vector<Row> rows;
  bool floor = false;  // measured also for others that are compared with it
  // Makes what the samples need, once, before the first round.
  std::function<Status()> prepare;
  // One sample for each row. An error when something was delivered that must not be, or the other way round.
  std::function<StatusOr<std::vector<double>>()> measure;
};

// Removes what no filter wants, but for the floors of what one wants.
void Select(const RunOptions& options, std::vector<Scenario>* scenarios);

// Prepares all, then adds `rounds` samples to each row. Stops at the first error, which names the row, and at SIGINT
// and SIGTERM.
Status RunScenarios(int rounds, std::vector<Scenario>* scenarios);

}  // namespace sluice::perf
