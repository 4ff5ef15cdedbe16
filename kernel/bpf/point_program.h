// Programs of hook policies that are loaded for one place in the kernel (bpf/hooks/hook_point.bpf.c): LSM hooks,
// trampolines and raw tracepoints.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "base/fd.h"
#include "base/status.h"
#include "kernel/bpf/preempt_counter.h"

namespace sluice::bpf {

struct PointProgram {
  enum class Kind {
    kLsm,              // `target`: "file_open"
    kDenyingFunction,  // by fmod_ret: "security_file_open"
    kDenyingSyscall,   // the same for the function of a system call: "__x64_sys_openat"
    kFunctionEnter,    // by fentry
    kFunctionReturn,   // by fexit
    kRawTracepoint,    // "sched_switch"
  };

  Kind kind = Kind::kLsm;
  std::string target;
  std::uint32_t number = 0;  // of the point
};

struct SharedHookMaps {
  std::function<int(const std::string& name)> fd;  // of a map that the other programs of hook policies have
  std::uint32_t ring_bytes = 0;
  PreemptCounter preempt;
};

// Loads the program and attaches it. The link keeps both: closing the last descriptor or pin of it ends them.
// NotFound: this kernel has no such function, hook or tracepoint. FailedPrecondition names what the kernel lacks.
StatusOr<Fd> AttachPointProgram(const PointProgram& program, const SharedHookMaps& maps);

}  // namespace sluice::bpf
