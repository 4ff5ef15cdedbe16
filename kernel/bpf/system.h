// Facts about the running system that BPF code needs.
#pragma once

#include <cstddef>
#include <string>

#include "base/status.h"

namespace sluice::bpf {

// The kernel's types, for an object's relocations. Without a file name, libbpf also searches the modules for a type
// that the kernel does not have; that needs CAP_SYS_ADMIN, and a refusal fails the whole object.
inline constexpr const char* kKernelTypes = "/sys/kernel/btf/vmlinux";

// CPUs that the kernel may ever use: the number of values in a per-CPU entry.
StatusOr<int> PossibleCpus();

// Whether the kernel counts the programs' runs and their time (sysctl kernel.bpf_stats_enabled).
bool CountsProgramRuns();

// Whether `path` exists and lies on a BPF file system.
bool IsOnBpfFs(const std::string& path);

std::size_t PageSize();  // bytes; 4 KiB, and on some machines 16 or 64

// Waits until every program that runs now has ended (an RCU grace period).
Status WaitForRunningPrograms();

}  // namespace sluice::bpf
