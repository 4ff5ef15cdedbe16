// The few facts about the running system that BPF code needs.
#pragma once

#include <cstddef>
#include <string>

#include "base/status.h"

namespace sluice::bpf {

// The kernel's own types, for an object's relocations. Where no file is named, libbpf looks for a type that this kernel
// does not have in its modules too; that needs CAP_SYS_ADMIN, and what is refused there fails the whole object.
inline constexpr const char* kKernelTypes = "/sys/kernel/btf/vmlinux";

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
