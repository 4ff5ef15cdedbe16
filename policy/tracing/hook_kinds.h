// The kinds of hooks that a TracingPolicy may name. Pure.
#pragma once

#include <array>
#include <string_view>

namespace sluice::policy::tracing {

enum class HookKind { kKprobe, kTracepoint, kRawTracepoint, kLsm, kFentry, kUprobe, kUsdt };

struct HookKindInfo {
  HookKind kind;
  std::string_view name;     // the field of spec
  std::string_view meaning;  // for people
  std::string_view kernels;  // what the kernel must have
  int last_index;            // the highest `index` of an argument; a system call has at most its own arguments
};

// In the order of HookKind.
inline constexpr std::array kHookKinds = {
    HookKindInfo{HookKind::kKprobe, "kprobes", "entry and return of a kernel function or system call", "CONFIG_KPROBES",
                 5},
    HookKindInfo{HookKind::kTracepoint, "tracepoints", "a tracepoint, its arguments by the fields of its format",
                 "CONFIG_TRACEPOINTS, tracefs", 63},
    HookKindInfo{HookKind::kRawTracepoint, "tracepoints with raw: true",
                 "a tracepoint, its arguments as the kernel "
                 "passes them",
                 "Linux 4.17, CONFIG_TRACEPOINTS", 11},
    HookKindInfo{HookKind::kLsm, "lsmhooks", "a hook of the Linux Security Modules",
                 "Linux 5.7, CONFIG_BPF_LSM, bpf in lsm=", 5},
    HookKindInfo{HookKind::kFentry, "fentries", "entry and return of a kernel function by a trampoline",
                 "Linux 5.5, CONFIG_FUNCTION_TRACER, BTF", 5},
    HookKindInfo{HookKind::kUprobe, "uprobes", "a function or an address of a program or library", "CONFIG_UPROBES", 5},
    HookKindInfo{HookKind::kUsdt, "usdts", "a static probe (SDT) of a program or library", "CONFIG_UPROBES", 11},
};

constexpr const HookKindInfo& InfoOf(HookKind kind) { return kHookKinds[static_cast<std::size_t>(kind)]; }

// The field of spec that has hooks of the kind: raw tracepoints are in that of the others.
constexpr std::string_view FieldOf(HookKind kind) { return InfoOf(kind).name.substr(0, InfoOf(kind).name.find(' ')); }

}  // namespace sluice::policy::tracing
