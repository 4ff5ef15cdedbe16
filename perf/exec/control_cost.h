// What a program at each exec costs, and how long it runs itself: one that does nothing but read memory, and one that
// does nothing but compute (perf/bpf/exec.bpf.c). What the first costs beyond its own time are the cache lines that it
// takes from what runs after it.
#pragma once

#include "perf/exec/spawner.h"

namespace sluice::perf {

enum class Control { kReading, kComputing };

struct ControlCost {
  double own_ns = 0;   // of one run, by the kernel's own statistics
  double more_ns = 0;  // CPU time that an instance takes more with it, median of pairs
};

// `pairs` of a block of `instances` with the program and one without.
StatusOr<ControlCost> MeasureControlCost(Control control, const Spawner& spawner, int pairs, int instances);

}  // namespace sluice::perf
