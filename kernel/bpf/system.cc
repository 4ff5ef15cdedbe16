#include "kernel/bpf/system.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/magic.h>
#include <linux/membarrier.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>

#include "base/fd.h"

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

std::size_t PageSize() {
  static const auto size = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  return size;
}

namespace {

// The kernel waits for a grace period before an update of a map of maps returns (kernel/bpf/syscall.c,
// maybe_wait_bpf_programs), so that no program still uses the old map.
Status WaitByMapOfMaps() {
  const Fd inner(bpf_map_create(BPF_MAP_TYPE_ARRAY, "sl_wait", sizeof(__u32), sizeof(__u32), 1, nullptr));
  LIBBPF_OPTS(bpf_map_create_opts, options, .inner_map_fd = static_cast<__u32>(inner.get()));
  const Fd outer(inner.valid() ? bpf_map_create(BPF_MAP_TYPE_ARRAY_OF_MAPS, "sl_wait_outer", sizeof(__u32),
                                                sizeof(__u32), 1, &options)
                               : -1);
  const __u32 key = 0;
  const int value = inner.get();
  if (!outer.valid() || bpf_map_update_elem(outer.get(), &key, &value, BPF_ANY) != 0)
    return ErrnoError(errno, "wait for running programs (membarrier, map of maps)");
  return OkStatus();
}

}  // namespace

Status WaitForRunningPrograms() {
  // MEMBARRIER_CMD_GLOBAL is synchronize_rcu() (kernel/sched/membarrier.c); BPF programs run inside RCU read sections.
  // Kernels with nohz_full CPUs refuse it, as may a system call filter.
  if (syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0) == 0) return OkStatus();
  return WaitByMapOfMaps();
}

}  // namespace sluice::bpf
