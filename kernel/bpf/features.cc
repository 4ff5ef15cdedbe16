#include "kernel/bpf/features.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include <cerrno>

#include "kernel/bpf/hook.h"
#include "kernel/bpf/system.h"

namespace sluice::bpf {
namespace {

bool HasTcx(int tc_program_fd) {
  // No interface has the number 0: a kernel with TCX rejects the interface, any other kernel the attach type.
  const int link = bpf_link_create(tc_program_fd, 0, static_cast<bpf_attach_type>(kTcxIngress), nullptr);
  return link < 0 && errno == ENODEV;
}

struct Requirement {
  const char* what;
  bool (*present)();
};

const Requirement kRequirements[] = {
    {"ring buffers (kernel 5.8)", [] { return libbpf_probe_bpf_map_type(BPF_MAP_TYPE_RINGBUF, nullptr) == 1; }},
    {"redirect maps by hash (kernel 5.4)",
     [] { return libbpf_probe_bpf_map_type(BPF_MAP_TYPE_DEVMAP_HASH, nullptr) == 1; }},
    {"bpf_redirect_peer (kernel 5.10)",
     [] { return libbpf_probe_bpf_helper(BPF_PROG_TYPE_SCHED_CLS, BPF_FUNC_redirect_peer, nullptr) == 1; }},
    {"bpf_ktime_get_coarse_ns (kernel 5.11)",
     [] { return libbpf_probe_bpf_helper(BPF_PROG_TYPE_XDP, BPF_FUNC_ktime_get_coarse_ns, nullptr) == 1; }},
    {"bpf_fib_lookup (kernel 4.18)",
     [] { return libbpf_probe_bpf_helper(BPF_PROG_TYPE_XDP, BPF_FUNC_fib_lookup, nullptr) == 1; }},
};

}  // namespace

std::vector<Feature> ProbeFeatures(int tc_program_fd) {
  return {
      {"tcx", HasTcx(tc_program_fd),
       "programs are attached by clsact: another tool that deletes the qdisc detaches them (kernel 6.6 has TCX)"},
      {"run_time_statistics", CountsProgramRuns(),
       "no metrics of the programs' run time (sysctl kernel.bpf_stats_enabled=1 counts it)"},
  };
}

std::vector<std::string> MissingRequirements() {
  std::vector<std::string> missing;
  for (const Requirement& requirement : kRequirements) {
    if (!requirement.present()) missing.emplace_back(requirement.what);
  }
  return missing;
}

}  // namespace sluice::bpf
