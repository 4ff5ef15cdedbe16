#include "perf/cpu.h"

#include <sched.h>
#include <unistd.h>

#include <cerrno>

namespace sluice::perf {
namespace {

// The CPUs allowed to the process's first thread, which is never pinned.
StatusOr<cpu_set_t> Allowed() {
  cpu_set_t allowed;
  if (sched_getaffinity(getpid(), sizeof(allowed), &allowed) != 0) return ErrnoError(errno, "read the allowed CPUs");
  return allowed;
}

}  // namespace

StatusOr<int> MeasuredCpu() {
  SL_ASSIGN_OR_RETURN(const cpu_set_t allowed, Allowed());
  int cpu = CPU_SETSIZE - 1;
  while (cpu > 0 && !CPU_ISSET(cpu, &allowed)) --cpu;
  return cpu;
}

StatusOr<int> OtherCpu() {
  SL_ASSIGN_OR_RETURN(const cpu_set_t allowed, Allowed());
  int cpu = 0;
  while (cpu < CPU_SETSIZE - 1 && !CPU_ISSET(cpu, &allowed)) ++cpu;
  return cpu;
}

bool HasTwoCpus() {
  const StatusOr<int> measured = MeasuredCpu(), other = OtherCpu();
  return measured.ok() && other.ok() && *measured != *other;
}

Status StayOn(int cpu, pid_t task) {
  cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET(cpu, &one);
  return sched_setaffinity(task, sizeof(one), &one) == 0 ? OkStatus() : ErrnoError(errno, "stay on CPU {}", cpu);
}

Status RoamFreely() {
  SL_ASSIGN_OR_RETURN(const cpu_set_t allowed, Allowed());
  return sched_setaffinity(0, sizeof(allowed), &allowed) == 0 ? OkStatus() : ErrnoError(errno, "leave the CPU");
}

void GoFirst(pid_t task) {
  const sched_param lowest{.sched_priority = sched_get_priority_min(SCHED_FIFO)};
  (void)sched_setscheduler(task, SCHED_FIFO, &lowest);
}

}  // namespace sluice::perf
