// A TracingPolicy as tables for the kernel (bpf/abi/hook.h). Plain values, immutable once built.
//
// Numbers of tests, selectors, words, sets and scopes count from 0 within one hook or policy; whoever fills the maps
// (kernel/hooks) adds where they begin there.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "bpf/abi/hook.h"
#include "policy/tracing/model.h"

namespace sluice::policy::tracing {

// Where a program must be attached.
struct HookPoint {
  enum class Kind {
    kFunction,         // `name`: a function of the kernel, "security_file_permission"
    kSyscall,          // `name`: a system call without any prefix, "openat"
    kRawTracepoint,    // `group` and `name`: sched and sched_switch; with the arguments that the kernel passes
    kLsm,              // `name`: "file_open"
    kTrampoline,       // `name`: a function, by fentry and fexit
    kDenyingFunction,  // the same, where a program may return an error in the function's place
    kDenyingSyscall,   // a system call, where a program may return an error in its place
    kTracepoint,       // `group` and `name`; its arguments are in a record
    kProgram,          // `group`: path of a program or library, `name`: what the policy says, `offset`: in the file
    kStaticProbe,      // likewise; `name`: "provider:name", and `counter` is that of the probe
  };

  Kind kind = Kind::kFunction;
  std::string group;
  std::string name;
  std::uint64_t offset = 0;
  std::uint64_t counter = 0;  // where in the file a counter is that must be above 0; 0: nowhere
  auto operator<=>(const HookPoint&) const = default;
};

struct CompiledHook {
  HookPoint point;
  Place place;                              // in the file, for errors
  std::size_t source = 0;                   // index in TracingPolicy::hooks; lists make several compiled hooks of one
  bool ignore_missing = false;              // a kernel without the function is no error
  sl_hook hook{};                           // with its counts and flags; policy, scope, life, selectors and tests are 0
  std::vector<sl_hook_selector> selectors;  // at least one
  std::vector<sl_hook_test> tests;          // texts: `first` is an index in `words`; IN_SET: in `sets`; SCOPE: in
                                            // CompiledPolicy::scopes
  std::vector<std::uint64_t> words;         // sl_hook_argument.steps is an index here, too
  std::vector<std::vector<std::uint64_t>> sets;
};

struct CompiledPolicy {
  std::shared_ptr<const TracingPolicy> policy;
  std::vector<Scope> scopes;  // [0]: the policy's own
  std::vector<CompiledHook> hooks;
};

}  // namespace sluice::policy::tracing
