// What a program at each exec costs that does nothing but read memory, and how long it runs itself. The rest are cache
// lines that it takes from what runs after it, and that have to be fetched again.
#pragma once

#include "perf/bpf/exec_lines.h"
#include "perf/exec/spawner.h"

namespace sluice::perf {

struct MemoryCost {
  double own_ns = 0;   // of one run, by the kernel's own statistics
  double more_ns = 0;  // CPU time that a life takes more with it, median of pairs
};

// PERF_EXEC_LINES cache lines. `pairs` of a block of `lives` with the program and one without.
StatusOr<MemoryCost> MeasureMemoryCost(const Spawner& spawner, int pairs, int lives);

}  // namespace sluice::perf
