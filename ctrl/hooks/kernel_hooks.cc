#include "ctrl/hooks/kernel_hooks.h"

#include "ctrl/hooks/compile.h"
#include "policy/resource/line_text.h"

namespace sluice::hooks {

using policy::tracing::CompiledHook;
using policy::tracing::CompiledPolicy;

StatusOr<std::unique_ptr<KernelHooks>> KernelHooks::Open(const bpf::HookProgramOptions& options) {
  SL_ASSIGN_OR_RETURN(auto programs, bpf::HookPrograms::Load(options));
  SL_ASSIGN_OR_RETURN(auto tables, HookTables::Create(programs.get()));
  return std::unique_ptr<KernelHooks>(
      new KernelHooks(std::move(programs), std::move(tables), options.processes_fd >= 0));
}

// What would be read, and never match.
Status KernelHooks::CheckKnown(const CompiledPolicy& policy) const {
  for (const CompiledHook& hook : policy.hooks) {
    if (knows_processes_ || (hook.hook.flags & SL_HOOK_NEEDS_BINARY) == 0) continue;
    return MakeError(absl::StatusCode::kFailedPrecondition,
                     "{}{}: a filter looks at the process's program, which this agent does not know: it runs "
                     "without process sensors, and its log says why",
                     LineText(hook.place), bpf::ToString(hook.point));
  }
  return OkStatus();
}

Status KernelHooks::Put(const std::shared_ptr<const CompiledPolicy>& policy, PolicyState state) {
  SL_RETURN_IF_ERROR(CheckKnown(*policy));
  return tables_->Put(policy->policy->name, policy, state);
}

StatusOr<std::map<policy::ObjectName, PolicyNumbers>> KernelHooks::Read() {
  std::map<policy::ObjectName, PolicyNumbers> all;
  for (const PolicyInfo& info : tables_->List()) {
    PolicyNumbers numbers{.hooks = {}, .memory_bytes = info.bytes};
    for (const HookInfo& hook : info.hooks)
      numbers.hooks.push_back(
          {.hook = bpf::ToString(hook.point), .attached = hook.attached, .counts = {}, .selectors = {}});
    SL_ASSIGN_OR_RETURN(const auto counts, tables_->Counts(info.name));
    for (const SelectorCounts& selector : counts) {
      HookNumbers& hook = numbers.hooks.at(selector.hook);
      HookCounts& own = hook.selectors.emplace_back();
      std::copy(std::begin(selector.counts.counts), std::end(selector.counts.counts), own.begin());
      for (std::size_t i = 0; i < own.size(); ++i) hook.counts[i] += own[i];
    }
    all.emplace(info.name, std::move(numbers));
  }
  return all;
}

}  // namespace sluice::hooks
