// On which CPUs measurements and their helpers run.
#pragma once

#include <sys/types.h>

#include "base/status.h"

namespace sluice::perf {

// One of the CPUs that the process may use: the last, because the kernel's own work gathers on the first. The first is
// for work beside the measurement. On a machine with one CPU both are the same.
StatusOr<int> MeasuredCpu();
StatusOr<int> OtherCpu();
bool HasTwoCpus();

// `task` 0: the calling thread, and those that it starts from now on.
Status StayOn(int cpu, pid_t task = 0);
// Lets the calling thread run on every CPU that the process may use.
Status RoamFreely();

// Real-time priority: other tasks on the CPU cost time and cache content, and a nice value counts only among the
// threads of one group. Without the right to it, results are the same but noisier. `task` as above.
void GoFirst(pid_t task = 0);

}  // namespace sluice::perf
