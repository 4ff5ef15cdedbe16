// The enforcer: what NotifyEnforcer leaves for a thread is done when that comes to one of the enforcer's calls.
#include <algorithm>

#include "policy/tracing/compile_parts.h"
#include "policy/tracing/syscalls.h"

namespace sluice::policy::tracing {
namespace {

bool LeavesError(const Action& action) {
  return action.type == ActionType::kNotifyEnforcer && action.error.value_or(0) != 0;
}

// Whether the enforcer must return errors, and not only send signals.
bool ReturnsErrors(const TracingPolicy& policy) {
  return std::any_of(policy.hooks.begin(), policy.hooks.end(), [](const Hook& hook) {
    return std::any_of(hook.selectors.begin(), hook.selectors.end(), [](const HookSelector& selector) {
      return std::any_of(selector.actions.begin(), selector.actions.end(), LeavesError) ||
             std::any_of(selector.return_actions.begin(), selector.return_actions.end(), LeavesError);
    });
  });
}

std::vector<HookPoint> PointsOfCall(const TracingPolicy& policy, const EnforcerCall& call,
                                    const CompileOptions& options, const PolicyField& field) {
  if (!call.list.empty()) return PointsOfList(ListOf(policy, call.list), HookPoint::Kind::kFunction, options, field);
  if (const auto syscall = SyscallOfFunction(call.function))
    return {{.kind = HookPoint::Kind::kSyscall, .group = "", .name = std::string(*syscall)}};
  return {{.kind = HookPoint::Kind::kFunction, .group = "", .name = call.function}};
}

// Makes no event.
CompiledHook EnforcingHook(const TracingPolicy& policy, HookPoint point) {
  CompiledHook hook{.point = std::move(point), .place = policy.place};
  hook.tests.push_back(MakeTest(SL_HOOK_TEST_ALWAYS, SL_HOOK_FIELD_VALUE));
  hook.hook.test_count = 1;
  sl_hook_selector selector{};
  selector.actions = SL_HOOK_ACTION_ENFORCE;
  hook.selectors.push_back(selector);
  return hook;
}

}  // namespace

std::optional<HookPoint> DenyingPoint(HookPoint point) {
  switch (point.kind) {
    case HookPoint::Kind::kLsm:
      return point;
    case HookPoint::Kind::kFunction:
    case HookPoint::Kind::kTrampoline:
      point.kind = HookPoint::Kind::kDenyingFunction;
      return point;
    case HookPoint::Kind::kSyscall:
      point.kind = HookPoint::Kind::kDenyingSyscall;
      return point;
    case HookPoint::Kind::kRawTracepoint:
    case HookPoint::Kind::kDenyingFunction:
    case HookPoint::Kind::kDenyingSyscall:
    case HookPoint::Kind::kTracepoint:
    case HookPoint::Kind::kProgram:
    case HookPoint::Kind::kStaticProbe:
      break;
  }
  return std::nullopt;
}

void CompileEnforcer(const TracingPolicy& policy, const CompileOptions& options, const PolicyField& spec,
                     CompiledPolicy& compiled) {
  if (policy.enforcer.empty()) return;
  const PolicyField field = spec.At("enforcers", 0);
  const bool denies = ReturnsErrors(policy);
  for (std::size_t i = 0; i < policy.enforcer.size(); ++i) {
    for (const HookPoint& point : PointsOfCall(policy, policy.enforcer[i], options, field.At("calls", i)))
      compiled.hooks.push_back(EnforcingHook(policy, denies ? *DenyingPoint(point) : point));
  }
}

}  // namespace sluice::policy::tracing
