// On which CPUs measurements and their helpers run.
#pragma once

#include "ctrl/base/status.h"

namespace sluice::perf {

// Of those that the process may use. The last one is for what is measured: the kernel's own work gathers at the first,
// which is for what goes on beside it. On a machine of one CPU both are the same.
StatusOr<int> MeasuredCpu();
StatusOr<int> OtherCpu();

// The calling thread, and those that it starts from now on.
Status StayOn(int cpu);
// The calling thread may go wherever the process may.
Status RoamFreely();

}  // namespace sluice::perf
