// Where this kernel counts whether a CPU serves an interrupt: for hook programs (bpf/lib/context.bpf.h).
#pragma once

#include <cstdint>
#include <istream>

namespace sluice::bpf {

struct PreemptCounter {
  std::uint64_t per_cpu_offsets = 0;  // address of __per_cpu_offset
  std::uint64_t counter = 0;          // per-CPU address of __preempt_count, or of pcpu_hot, which has it
  bool known() const { return per_cpu_offsets != 0 && counter != 0; }
};

// From a text as /proc/kallsyms. Unknown where the kernel does not list its data (CONFIG_KALLSYMS_ALL), hides addresses
// (CAP_SYSLOG), or, as on arm64, has the counter elsewhere.
PreemptCounter ParsePreemptCounter(std::istream& symbols);
PreemptCounter FindPreemptCounter();

}  // namespace sluice::bpf
