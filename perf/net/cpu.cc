#include "perf/net/cpu.h"

#include <sched.h>
#include <unistd.h>

#include <cerrno>

namespace sluice::perf {
namespace {

// Of the process: a thread may have been put on one of them.
StatusOr<cpu_set_t> AllowedCpus() {
  cpu_set_t allowed;
  if (sched_getaffinity(getpid(), sizeof(allowed), &allowed) != 0) return ErrnoError(errno, "read the allowed CPUs");
  return allowed;
}

}  // namespace

StatusOr<int> LastCpu() {
  SL_ASSIGN_OR_RETURN(const cpu_set_t allowed, AllowedCpus());
  int cpu = CPU_SETSIZE - 1;
  while (cpu > 0 && !CPU_ISSET(cpu, &allowed)) --cpu;
  return cpu;
}

int OtherCpu(int cpu) {
  const StatusOr<cpu_set_t> allowed = AllowedCpus();
  if (!allowed.ok()) return -1;
  for (int other = 0; other < CPU_SETSIZE; ++other)
    if (other != cpu && CPU_ISSET(other, &*allowed)) return other;
  return -1;
}

Status StayOnCpu(int cpu, pid_t task) {
  cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET(cpu, &one);
  return sched_setaffinity(task, sizeof(one), &one) == 0 ? OkStatus() : ErrnoError(errno, "stay on CPU {}", cpu);
}

void GoFirst(pid_t task) {
  const sched_param lowest{.sched_priority = sched_get_priority_min(SCHED_FIFO)};
  (void)sched_setscheduler(task, SCHED_FIFO, &lowest);
}

}  // namespace sluice::perf
