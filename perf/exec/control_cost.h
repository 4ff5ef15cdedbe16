// The cost of a program at each exec, compared with its own run time. One control only reads memory, the other only
// computes (perf/bpf/exec.bpf.c). The first costs more than its own run time, because it evicts cache lines that the
// next code needs.
#pragma once

#include "perf/exec/spawner.h"

namespace sluice::perf {

enum class Control { kReading, kComputing };

struct ControlCost {
  double own_ns = 0;   // of one run, by the kernel's statistics
  double more_ns = 0;  // extra CPU time of an instance with the program, median of pairs
};

// Runs `pairs`: each has a block of `instances` with the program, and one without.
StatusOr<ControlCost> MeasureControlCost(Control control, const Spawner& spawner, int pairs, int instances);

}  // namespace sluice::perf
