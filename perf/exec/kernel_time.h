// How long the sensors' programs run for each event, by the kernel's own statistics.
#pragma once

#include <map>

#include "base/fd.h"
#include "perf/exec/spawner.h"

namespace sluice::perf {

// Makes the kernel count runs and run time of all BPF programs while the descriptor is open.
StatusOr<Fd> CountRuns();

struct KernelTime {
  std::map<std::string, double> each;  // nanoseconds a run: exec, fork, exit
  double mean = 0;                     // of all runs
};

// Measures `instances` of the spawner's program, and everything else that this machine starts meanwhile. The kernel
// counts only during this call.
StatusOr<KernelTime> MeasureKernelTime(const Spawner& spawner, int instances);

}  // namespace sluice::perf
