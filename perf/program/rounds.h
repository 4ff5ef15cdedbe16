// Measurements by Google Benchmark, interleaved: a round takes one sample of each, so that a slow spell of the machine
// meets all of them alike.
#pragma once

#include <functional>
#include <vector>

#include "perf/program/cost.h"
#include "perf/suite.h"

namespace sluice::perf {

// A row and how one sample of it is made.
struct Measurement {
  Row row;
  std::uint32_t packets = 0;                // of one sample
  std::function<StatusOr<Cost>()> measure;  // of a packet; an error when a verdict was wrong
};

// Adds `rounds` samples to each row. Stops at the first error, which names the row.
Status RunRounds(int rounds, std::vector<Measurement>* measurements);

}  // namespace sluice::perf
