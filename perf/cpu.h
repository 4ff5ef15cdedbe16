// On which CPUs measurements and their helpers run.
#pragma once

#include <sys/types.h>

#include "base/status.h"

namespace sluice::perf {

// Of those that the process may use. The last one is for what is measured: the kernel's own work gathers at the first,
// which is for what goes on beside it. On a machine of one CPU both are the same.
StatusOr<int> MeasuredCpu();
StatusOr<int> OtherCpu();
bool HasTwoCpus();

// `task` 0: the calling thread, and those that it starts from now on.
Status StayOn(int cpu, pid_t task = 0);
// The calling thread may go wherever the process may.
Status RoamFreely();

// Real-time priority: work of somebody else costs time, and what it leaves of the cache. A nice value would count only
// among the threads of one group. Without the right to it all is the same, but noisier. `task` as above.
void GoFirst(pid_t task = 0);

}  // namespace sluice::perf
