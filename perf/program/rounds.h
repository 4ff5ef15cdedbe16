// Interleaved measurements by Google Benchmark: a round takes one sample of each, so that a slow phase of the machine
// affects all of them equally.
#pragma once

#include <functional>
#include <vector>

#include "perf/program/cost.h"
#include "perf/quiet_check.h"
#include "perf/suite.h"

namespace sluice::perf {

// A row, and a function that takes one sample of it.
struct Measurement {
  Row row;
  std::uint32_t packets = 0;                // in one sample
  std::function<StatusOr<Cost>()> measure;  // of one packet; an error when a verdict was wrong
};

// Adds `rounds` samples to each row. Stops at the first error, which names the row. A round that `quiet` finds
// disturbed is taken again.
Status RunRounds(int rounds, std::vector<Measurement>* measurements, QuietCheck* quiet);

}  // namespace sluice::perf
