#include "ctrl/bpf/system.h"

#include <bpf/libbpf.h>
#include <linux/magic.h>
#include <linux/membarrier.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>

namespace sluice::bpf {

StatusOr<int> PossibleCpus() {
  const int cpus = libbpf_num_possible_cpus();
  if (cpus < 0) return ErrnoError(cpus, "count the possible CPUs");
  return cpus;
}

bool CountsProgramRuns() {
  std::ifstream sysctl("/proc/sys/kernel/bpf_stats_enabled");
  int enabled = 0;
  return sysctl >> enabled && enabled != 0;
}

bool IsOnBpfFs(const std::string& path) {
  struct statfs info {};
  return statfs(path.c_str(), &info) == 0 && info.f_type == BPF_FS_MAGIC;
}

Status WaitForRunningPrograms() {
  // MEMBARRIER_CMD_GLOBAL is synchronize_rcu() (kernel/sched/membarrier.c); BPF programs run inside RCU read sections.
  if (syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0) == 0) return OkStatus();
  return ErrnoError(errno, "wait for running programs (membarrier)");
}

}  // namespace sluice::bpf
