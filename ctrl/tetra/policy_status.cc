#include "ctrl/tetra/policy_status.h"

#include <algorithm>
#include <map>
#include <set>

namespace sluice::tetra {
namespace {

using policy::tracing::CompiledHook;
using policy::tracing::HookKind;
using policy::tracing::TracingPolicy;
using tetragon::TracingPolicyActionCounters;

const char* SensorOf(HookKind kind) {
  switch (kind) {
    case HookKind::kKprobe:
      return "generic_kprobe";
    case HookKind::kTracepoint:
    case HookKind::kRawTracepoint:
      return "generic_tracepoint";
    case HookKind::kLsm:
      return "generic_lsm";
    case HookKind::kFentry:
      return "generic_fentry";
    case HookKind::kUprobe:
      return "generic_uprobe";
    case HookKind::kUsdt:
      return "generic_usdt";
  }
  return "";
}

// Of the hook at `source` in the policy, in its own section.
std::uint32_t IndexInSection(const TracingPolicy& policy, std::size_t source) {
  const std::string_view section = FieldOf(policy.hooks.at(source).kind);
  return static_cast<std::uint32_t>(std::count_if(policy.hooks.begin(),
                                                  policy.hooks.begin() + static_cast<std::ptrdiff_t>(source),
                                                  [&](const auto& hook) { return FieldOf(hook.kind) == section; }));
}

bool Enforces(const TracingPolicy& policy) {
  using policy::tracing::Action;
  using policy::tracing::ActionType;
  const auto enforces = [](const Action& action) {
    switch (action.type) {
      case ActionType::kSigkill:
      case ActionType::kSignal:
      case ActionType::kOverride:
      case ActionType::kNotifyEnforcer:
      case ActionType::kSet:
      case ActionType::kQuarantine:
        return true;
      default:
        return false;
    }
  };
  for (const auto& hook : policy.hooks) {
    for (const auto& selector : hook.selectors) {
      if (std::any_of(selector.actions.begin(), selector.actions.end(), enforces) ||
          std::any_of(selector.return_actions.begin(), selector.return_actions.end(), enforces))
        return true;
    }
  }
  return false;
}

bool HasScope(const TracingPolicy& policy) {
  return !policy.name.ns.empty() || policy.scope.pods || policy.scope.containers || policy.scope.host;
}

tetragon::TracingPolicyMode ModeOf(const TracingPolicy& policy, bool monitors) {
  if (!Enforces(policy)) return tetragon::TP_MODE_MONITOR_ONLY;
  return monitors ? tetragon::TP_MODE_MONITOR : tetragon::TP_MODE_ENFORCE;
}

// The kernel counts what monitor mode left out once a call, whatever the selector's actions are.
TracingPolicyActionCounters ToCounters(const hooks::HookCounts& counts, const sl_hook_selector& selector) {
  const std::uint32_t actions = selector.actions | selector.return_actions;
  const std::uint64_t left_out = counts[SL_HOOK_COUNT_WOULD_ENFORCE];
  TracingPolicyActionCounters out;
  out.set_post(counts[SL_HOOK_COUNT_POSTED]);
  out.set_signal(counts[SL_HOOK_COUNT_SIGNALLED]);
  out.set_override(counts[SL_HOOK_COUNT_OVERRIDDEN]);
  if ((actions & SL_HOOK_ACTION_SIGNAL) != 0) out.set_monitor_signal(left_out);
  if ((actions & SL_HOOK_ACTION_OVERRIDE) != 0) out.set_monitor_override(left_out);
  if ((actions & SL_HOOK_ACTION_NOTIFY_ENFORCER) != 0) out.set_monitor_notify_enforcer(left_out);
  if ((actions & SL_HOOK_ACTION_POST) == 0) out.set_nopost(counts[SL_HOOK_COUNT_MATCHED]);
  return out;
}

void Add(const TracingPolicyActionCounters& from, TracingPolicyActionCounters* to) {
  to->set_post(to->post() + from.post());
  to->set_signal(to->signal() + from.signal());
  to->set_monitor_signal(to->monitor_signal() + from.monitor_signal());
  to->set_override(to->override() + from.override());
  to->set_monitor_override(to->monitor_override() + from.monitor_override());
  to->set_monitor_notify_enforcer(to->monitor_notify_enforcer() + from.monitor_notify_enforcer());
  to->set_nopost(to->nopost() + from.nopost());
}

void AddSelectors(const CompiledHook& compiled, const TracingPolicy& policy, const hooks::HookNumbers& numbers,
                  tetragon::TracingPolicyStats* out) {
  const auto& selectors = policy.hooks.at(compiled.source).selectors;
  for (std::size_t i = 0; i < std::min(numbers.selectors.size(), compiled.selectors.size()); ++i) {
    tetragon::TracingPolicySelectorActionCounters& one = *out->add_selector_action_counters();
    one.set_hook(numbers.hook);
    one.mutable_hook_index()->set_value(IndexInSection(policy, compiled.source));
    one.mutable_selector_index()->set_value(static_cast<std::uint32_t>(i));
    if (i < selectors.size()) one.set_selector_label(selectors[i].label);
    *one.mutable_action_counters() = ToCounters(numbers.selectors[i], compiled.selectors[i]);
    Add(one.action_counters(), out->mutable_action_counters());
  }
}

// Of what is in force. True: the kernel has all of it.
bool AddHooks(const hooks::PolicyReport& report, tetragon::TracingPolicyStatus* out) {
  bool has_all = true;
  const auto& compiled = *report.in_force;
  for (std::size_t i = 0; i < std::min(compiled.hooks.size(), report.numbers.hooks.size()); ++i) {
    const hooks::HookNumbers& numbers = report.numbers.hooks[i];
    const std::size_t source = compiled.hooks[i].source;
    tetragon::HookStatus& hook = *out->add_hook_statuses();
    hook.set_section(std::string(FieldOf(compiled.policy->hooks.at(source).kind)));
    hook.set_hook_idx(IndexInSection(*compiled.policy, source));
    hook.set_hook_description(numbers.attached.empty() ? numbers.hook : numbers.hook + ": " + numbers.attached);
    hook.set_state(numbers.attached.empty() ? tetragon::STATUS_CALL_NOT_FOUND : tetragon::STATUS_LOADED);
    has_all = has_all && !numbers.attached.empty();
    AddSelectors(compiled.hooks[i], *compiled.policy, numbers, out->mutable_stats());
  }
  return has_all;
}

tetragon::TracingPolicyState StateOf(const hooks::PolicyReport& report, bool has_all) {
  switch (report.state) {
    case hooks::ReportedState::kDisabled:
      return tetragon::TP_STATE_DISABLED;
    case hooks::ReportedState::kError:
      return report.in_force ? tetragon::TP_STATE_ERROR : tetragon::TP_STATE_LOAD_ERROR;
    case hooks::ReportedState::kOtherNodes:
      return tetragon::TP_STATE_SKIPPED;
    case hooks::ReportedState::kEnabled:
    case hooks::ReportedState::kMonitor:
      break;
  }
  return has_all ? tetragon::TP_STATE_ENABLED : tetragon::TP_STATE_PARTIALLY_ENABLED;
}

void Fill(const policy::Resource& resource, const reconcile::View& view, const hooks::PolicyReports& reports,
          tetragon::TracingPolicyStatus* out) {
  const TracingPolicy& policy = *resource.tracing;
  out->set_name(resource.id.name.name);
  out->set_namespace_(resource.id.name.ns);
  out->set_domain(DomainOf(resource.id, view));
  std::set<std::string> sensors;
  for (const auto& hook : policy.hooks) sensors.insert(SensorOf(hook.kind));
  out->mutable_sensors()->Assign(sensors.begin(), sensors.end());
  const auto found = reports.find(resource.id);
  if (found == reports.end()) {  // nothing has been tried yet
    out->set_state(tetragon::TP_STATE_LOADING);
    out->set_error(view.holding);
    out->set_mode(ModeOf(policy, policy.mode == TracingPolicy::Mode::kMonitor));
    return;
  }
  const hooks::PolicyReport& report = found->second;
  out->set_id(report.number);
  if (HasScope(policy)) out->set_filter_id(report.number);
  out->set_error(report.problem);
  out->set_mode(ModeOf(policy, report.monitors));
  out->set_kernel_memory_bytes(report.numbers.memory_bytes);
  out->mutable_stats()->mutable_action_counters();
  const bool has_all = !report.in_force || AddHooks(report, out);
  out->set_state(StateOf(report, has_all));
  out->set_enabled(out->state() == tetragon::TP_STATE_ENABLED || out->state() == tetragon::TP_STATE_PARTIALLY_ENABLED);
}

}  // namespace

const char* DomainOf(const policy::ResourceId& id, const reconcile::View& view) {
  const auto source = view.desired.SourceOf(id);
  if (source == reconcile::Source::kDirectory) return "static";
  if (source == reconcile::Source::kKubernetes) return "k8s";
  return "grpc";
}

void ListPolicies(const reconcile::View& view, const hooks::PolicyReports& reports, const std::string& domain,
                  tetragon::ListTracingPoliciesResponse* out) {
  for (const policy::Kind kind : policy::kTracingKinds) {
    for (const auto& [id, resource] : view.resources.of(kind)) {
      if (domain.empty() || domain == DomainOf(id, view)) Fill(resource, view, reports, out->add_policies());
    }
  }
}

}  // namespace sluice::tetra
