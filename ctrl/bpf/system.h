// The few facts about the running system that BPF code needs.
#pragma once

#include <cstddef>
#include <string>

#include "ctrl/base/status.h"

namespace sluice::bpf {

// CPUs that the kernel may ever use: the number of values in a per-CPU entry.
StatusOr<int> PossibleCpus();

// Whether the kernel counts how often and how long programs run (sysctl kernel.bpf_stats_enabled).
bool CountsProgramRuns();

// Whether `path` exists and lies on a BPF file system.
bool IsOnBpfFs(const std::string& path);

std::size_t PageSize();  // bytes; 4 KiB, and on some machines 16 or 64

// Waits until every program that runs now has ended (an RCU grace period).
Status WaitForRunningPrograms();

}  // namespace sluice::bpf
