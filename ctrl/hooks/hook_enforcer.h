// What is asked of the kernel for hook policies. KernelHooks implements it; tests have a fake.
//
// Calls come from one thread at a time. Errors name the hook and what the kernel lacks; a call that failed has changed
// nothing.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/status.h"
#include "bpf/abi/hook.h"
#include "kernel/hooks/policy_state.h"
#include "kernel/hooks/subjects.h"
#include "policy/tracing/compiled.h"

namespace sluice::hooks {

using HookCounts = std::array<std::uint64_t, SL_HOOK_COUNT_COUNT>;

inline constexpr std::array<const char*, SL_HOOK_COUNT_COUNT> kHookCountNames = {
#define SL_X(name, label) label,
    SL_HOOK_COUNTS(SL_X)
#undef SL_X
};

// A hook of a policy that is in force.
struct HookNumbers {
  std::string hook;      // "the system call openat"
  std::string attached;  // "kprobe __x64_sys_openat"; empty: the kernel has no such hook, and the policy allows that
  HookCounts counts{};   // since the policy came into force
  std::vector<HookCounts> selectors;  // the same by selector, in the order of CompiledHook::selectors
};

struct PolicyNumbers {
  std::vector<HookNumbers> hooks;  // as in CompiledPolicy
  std::uint64_t memory_bytes = 0;  // of the kernel
};

class HookEnforcer {
 public:
  virtual ~HookEnforcer() = default;

  // Replaces the policy of the same name in one step.
  virtual Status Put(const std::shared_ptr<const policy::tracing::CompiledPolicy>& policy, PolicyState state) = 0;
  // Of a policy that is in force; its counts go on.
  virtual Status SetState(const policy::ObjectName& name, PolicyState state) = 0;
  virtual Status Remove(const policy::ObjectName& name) = 0;
  // All of the node. In effect for every policy when it returns.
  virtual Status SetSubjects(const std::vector<Subject>& subjects) = 0;
  // Of all policies that are in force.
  virtual StatusOr<std::map<policy::ObjectName, PolicyNumbers>> Read() = 0;
  // Ends what an earlier agent left in force, once ours is.
  virtual Status EndEarlier() = 0;
};

}  // namespace sluice::hooks
