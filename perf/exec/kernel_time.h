// How long the sensors' programs run for each event, by the kernel's own statistics.
#pragma once

#include <map>

#include "base/fd.h"
#include "perf/exec/spawner.h"

namespace sluice::perf {

// Has the kernel count the runs of all BPF programs and their time, for as long as the descriptor is open.
StatusOr<Fd> CountRuns();

struct KernelTime {
  std::map<std::string, double> each;  // nanoseconds a run: exec, fork, exit
  double mean = 0;                     // of all runs
};

// Of `instances` of the spawner's program, and of what else this machine starts meanwhile. The kernel counts only while
// this runs.
StatusOr<KernelTime> MeasureKernelTime(const Spawner& spawner, int instances);

}  // namespace sluice::perf
