// Interleaved measurements over real interfaces: a round takes one sample of each, so that a slow phase of the machine
// affects all of them equally.
#pragma once

#include <functional>
#include <vector>

#include "perf/quiet_check.h"
#include "perf/suite.h"

namespace sluice::perf {

// Rows that are measured together.
struct Scenario {
  std::vector<Row> rows;
  bool floor = false;  // also measured when a selected scenario is compared with it
  // Makes everything that the samples need; called once, before the first round.
  std::function<Status()> prepare;
  // Takes one sample for each row. An error when a packet was delivered that must not be, or the reverse.
  std::function<StatusOr<std::vector<double>>()> measure;
};

// Keeps what the filters select, and the floors that it is compared with.
void Select(const RunOptions& options, std::vector<Scenario>* scenarios);

// Prepares all, then adds `rounds` samples to each row. Stops at the first error, which names the row. A round that
// `quiet` finds disturbed is taken again.
Status RunScenarios(int rounds, std::vector<Scenario>* scenarios, QuietCheck* quiet);

}  // namespace sluice::perf
