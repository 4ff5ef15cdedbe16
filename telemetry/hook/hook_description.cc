#include "telemetry/hook/hook_description.h"

#include <fmt/format.h>

#include <algorithm>

#include "telemetry/event/text.h"
#include "telemetry/hook/hook_arguments.h"
#include "telemetry/hook/hook_names.h"

namespace sluice::telemetry {
namespace {

using policy::tracing::Argument;
using policy::tracing::CompiledHook;
using policy::tracing::HookPoint;
using policy::tracing::TracingPolicy;

constexpr char kApiVersion[] = "cilium.io/v1alpha1";

struct ActionName {
  std::uint32_t bit;
  v1::Hook::Action action;
};
constexpr ActionName kActions[] = {
    {SL_HOOK_ACTION_POST, v1::Hook::POST},
    {SL_HOOK_ACTION_SIGNAL, v1::Hook::SIGNAL},
    {SL_HOOK_ACTION_OVERRIDE, v1::Hook::OVERRIDE},
    {SL_HOOK_ACTION_QUARANTINE, v1::Hook::QUARANTINE},
    {SL_HOOK_ACTION_TRACK_SOCKET, v1::Hook::TRACK_SOCKET},
    {SL_HOOK_ACTION_UNTRACK_SOCKET, v1::Hook::UNTRACK_SOCKET},
    {SL_HOOK_ACTION_NOTIFY_ENFORCER, v1::Hook::NOTIFY_ENFORCER},
    {SL_HOOK_ACTION_CLEAR_ENFORCER, v1::Hook::CLEAR_ENFORCER},
};
static_assert(std::size(kActions) + 2 == SL_HOOK_ACTION_COUNT, "but ENFORCE and MARK, which make no event");

// A tracepoint on a system call is shown as the policy's tracepoint, however it is attached.
void SetPlace(const policy::tracing::Hook& hook, const HookPoint& point, v1::Hook* out) {
  using policy::tracing::HookKind;
  out->set_function(point.name);
  if (const auto* target = std::get_if<policy::tracing::TracepointTarget>(&hook.target)) {
    out->set_kind(hook.kind == HookKind::kRawTracepoint ? v1::Hook::RAW_TRACEPOINT : v1::Hook::TRACEPOINT);
    out->set_group(target->subsystem);
    out->set_function(target->event);
  } else if (hook.kind == HookKind::kUprobe || hook.kind == HookKind::kUsdt) {
    out->set_kind(hook.kind == HookKind::kUprobe ? v1::Hook::UPROBE : v1::Hook::USDT);
    out->set_group(ToUtf8(point.group));
    out->set_function(ToUtf8(point.name));
  } else if (hook.kind == HookKind::kLsm) {
    out->set_kind(v1::Hook::LSM);
  } else if (point.kind == HookPoint::Kind::kSyscall) {
    out->set_kind(v1::Hook::SYSCALL);
  } else {
    out->set_kind(hook.kind == HookKind::kFentry ? v1::Hook::FENTRY : v1::Hook::FUNCTION);
  }
}

void SetPolicy(const TracingPolicy& policy, v1::PolicyRef* out) {
  out->set_kind(policy.name.ns.empty() ? "TracingPolicy" : "TracingPolicyNamespaced");
  out->set_namespace_(policy.name.ns);
  out->set_name(policy.name.name);
  out->set_api_version(kApiVersion);
}

void AddArguments(const HookRecord& record, const policy::tracing::Hook& hook, const CompiledHook& compiled,
                  v1::Hook* out) {
  const std::size_t count = std::min<std::size_t>(record.arguments.size(), SL_HOOK_ARGUMENTS);
  for (std::size_t i = 0; i < count && i < hook.args.size() + hook.data.size(); ++i) {
    const bool is_data = i >= hook.args.size();
    const Argument& wanted = is_data ? hook.data[i - hook.args.size()] : hook.args[i];
    if (wanted.type == policy::tracing::ArgType::kNop) continue;
    *(is_data ? out->add_data() : out->add_arguments()) =
        MakeHookArgument(record.arguments[i], wanted, compiled.hook.arguments[i]);
  }
}

void SetActions(const HookCall& call, const sl_hook_selector* selector, v1::Hook* out) {
  std::uint32_t at_call = call.record.event.actions, at_return = call.return_actions;
  // A record that waited for the return has the actions of both.
  if (selector != nullptr && call.held) {
    at_return |= at_call & selector->return_actions;
    at_call &= ~(selector->return_actions & ~selector->actions);
  }
  for (const ActionName& one : kActions) {
    if ((at_call & one.bit) != 0) out->add_actions(one.action);
    if ((at_return & one.bit) != 0) out->add_return_actions(one.action);
  }
  if (selector == nullptr) return;
  const std::uint8_t signal = (at_call & SL_HOOK_ACTION_SIGNAL) != 0 ? selector->signal : selector->return_signal;
  if (((at_call | at_return) & SL_HOOK_ACTION_SIGNAL) != 0 && signal != 0) out->set_signal(SignalName(signal));
  if (((at_call | at_return) & SL_HOOK_ACTION_OVERRIDE) != 0) out->set_error(ErrorName(selector->error));
}

void SetSelector(const policy::tracing::Hook& hook, std::size_t number, v1::Hook* out) {
  if (number >= hook.selectors.size()) return;  // a hook without selectors has one that always holds
  const std::string& label = hook.selectors[number].label;
  out->set_selector(label.empty() ? fmt::format("selectors[{}]", number) : ToUtf8(label));
}

}  // namespace

void FillHook(const HookCall& call, const HookDescription& description, v1::Hook* out) {
  const CompiledHook& compiled = description.policy->hooks[description.hook];
  const TracingPolicy& policy = *description.policy->policy;
  const policy::tracing::Hook& hook = policy.hooks[compiled.source];
  const sl_hook_event& event = call.record.event;
  SetPlace(hook, compiled.point, out);
  AddArguments(call.record, hook, compiled, out);
  if (call.returned && hook.return_arg && compiled.hook.return_value.read != SL_HOOK_READ_NOTHING) {
    *out->mutable_return_value() = MakeReturnValue(event.return_value, *hook.return_arg, compiled.hook.return_value);
  }
  const bool known = event.selector < compiled.selectors.size();
  SetActions(call, known ? &compiled.selectors[event.selector] : nullptr, out);
  SetSelector(hook, event.selector, out);
  SetPolicy(policy, out->mutable_policy());
  out->set_monitor(event.monitor != 0);
  out->set_message(ToUtf8(hook.message));
  for (const std::string& tag : hook.tags) out->add_tags(ToUtf8(tag));
  if (!call.alone) return;
  out->set_part(call.returned ? v1::Hook::RETURN : v1::Hook::CALL);
  out->set_call(fmt::format("{:x}", event.call));
}

}  // namespace sluice::telemetry
