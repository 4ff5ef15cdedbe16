// CPU time of the calling thread, its system calls and the programs that they run included. Time of others on the CPU
// does not count.
#pragma once

#include <ctime>

namespace sluice::perf {

inline double ThreadNanoseconds() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) * 1e9 + static_cast<double>(now.tv_nsec);
}

}  // namespace sluice::perf
