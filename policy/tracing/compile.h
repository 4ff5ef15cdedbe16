// A checked TracingPolicy -> tables for the kernel, or problems that name the field. Pure: whether this kernel has the
// functions and can attach to them is found out by whoever attaches.
//   const Compilation compiled = Compile(policy, {.host_namespaces = ...});
//   if (compiled.policy == nullptr) return ToStatus(origin, compiled.problems);
//
// How the tables decide, beside bpf/abi/hook.h: when the function begins, the tests up to those of the return choose
// the selector, and its `actions` are taken. With SL_HOOK_HOLDS, the event waits for the return: there the tests of
// this one selector among those of the return decide whether it is sent and whether `return_actions` are taken. Every
// selector of such a hook has such tests. policy/tracing/evaluate.h says the same of the policy itself.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "policy/resource/resource_field.h"
#include "policy/tracing/compiled.h"
#include "policy/tracing/program_files.h"
#include "policy/tracing/tracepoint_format.h"
#include "policy/tracing/type_resolver.h"

namespace sluice::policy::tracing {

struct CompileOptions {
  // Inodes of the host's namespaces, as in /proc/1/ns, by NamespaceType. 0: not known, or the kernel has none; then
  // policies that compare with it are refused.
  std::array<std::uint32_t, kNamespaceTypeCount> host_namespaces{};
  const TypeResolver* types = nullptr;         // null: policies with `resolve` are refused
  const TracepointFormats* formats = nullptr;  // null: policies with fields of tracepoints are refused
  const ProgramFiles* programs = nullptr;      // null: policies with uprobes or usdts are refused
  // The number of the system call, as "openat"; absent: this machine has no such call. Null: policies that compare an
  // argument with a list of system calls are refused.
  std::optional<std::uint32_t> (*syscall_number)(std::string_view name) = nullptr;
};

struct Compilation {
  std::shared_ptr<const CompiledPolicy> policy;  // null: there are problems
  std::vector<Problem> problems;                 // all of them, as the parser reports its own
};

// Whether the hook is on the tracepoint of a system call's exit, as syscalls/sys_exit_openat. It has nothing but the
// result, which is compiled as an argument with index SL_HOOK_INDEX_RETURN; and does everything at the return.
bool IsSyscallExit(const Hook& hook);

// `loader` becomes a hook like others, after the policy's own: in CompiledPolicy::policy, too.
Compilation Compile(const std::shared_ptr<const TracingPolicy>& policy, const CompileOptions& options = {});

}  // namespace sluice::policy::tracing
