// Where measured threads run. A thread's choices are its own, and of threads that it starts later.
#pragma once

#include <sys/types.h>

#include "ctrl/base/status.h"

namespace sluice::perf {

// The last CPU that the process may use: the kernel's own work gathers at the first.
StatusOr<int> LastCpu();
// Another one that the process may use; -1: there is none.
int OtherCpu(int cpu);

// `task` 0: the calling thread.
Status StayOnCpu(int cpu, pid_t task = 0);
// Real-time priority: work of somebody else costs time, and what it leaves of the cache. A nice value would count only
// among the threads of one group. Without the right to it all is the same, but noisier.
void GoFirst(pid_t task = 0);

}  // namespace sluice::perf
