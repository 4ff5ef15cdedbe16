#include "ctrl/sluiced/hook_policies.h"

#include <utility>

#include "base/log.h"
#include "ctrl/hooks/compile.h"
#include "kernel/bpf/hook_pins.h"

namespace sluice {

HookPolicies::HookPolicies(Options options)
    : options_(std::move(options)),
      controller_({.open = [this] { return Open(); },
                   .compile =
                       [this, of_host = hooks::OptionsOfHost()](const auto& policy) {
                         return hooks::Compile(
                             policy, of_host,
                             options_.admin_calls != nullptr ? *options_.admin_calls : bpf::OwnAdminCalls());
                       },
                   .end_earlier = [root = options_.bpf_root] { return bpf::EndOtherHooks(bpf::PinLayout(root), ""); },
                   .waits = true}) {}

Status HookPolicies::Begin(telemetry::Telemetry* telemetry) {
  {
    const std::lock_guard lock(mutex_);
    telemetry_ = telemetry;
  }
  return controller_.Begin();
}

StatusOr<int> HookPolicies::PutBackPins() {
  const std::lock_guard lock(mutex_);
  return kernel_ == nullptr ? 0 : kernel_->tables().PutBackPins();
}

void HookPolicies::Stop() {
  const std::lock_guard lock(mutex_);
  telemetry_ = nullptr;
  kernel_ = nullptr;
  events_.reset();
}

// Enforcement does not need the events.
StatusOr<std::unique_ptr<hooks::HookEnforcer>> HookPolicies::Open() {
  const std::lock_guard lock(mutex_);
  if (telemetry_ == nullptr) return MakeError(absl::StatusCode::kUnavailable, "the agent is ending");
  const telemetry::ProcessSensor* const sensor = telemetry_->processes();
  SL_ASSIGN_OR_RETURN(auto kernel, hooks::KernelHooks::Open({
                                       .pin_root = options_.bpf_root,
                                       .quarantine_fd = options_.datapath->object().map_fd("quarantine"),
                                       .processes_fd = sensor == nullptr ? -1 : sensor->map_fd("processes"),
                                       .admin_calls = options_.admin_calls,
                                   }));
  kernel_ = kernel.get();
  auto events = HookEvents::Start(kernel.get(), telemetry_, options_.node);
  if (events.ok()) {
    events_ = *std::move(events);
  } else {
    LogError("hook policies are enforced, but their events are not seen: {}", Message(events.status()));
  }
  return kernel;
}

telemetry::HookRecordNumbers HookPolicies::RecordNumbers() const {
  const std::lock_guard lock(mutex_);
  return events_ ? events_->Numbers() : telemetry::HookRecordNumbers();
}

std::vector<telemetry::HookPolicyNumbers> HookPolicies::Numbers() const {
  std::vector<telemetry::HookPolicyNumbers> all;
  for (const auto& [id, report] : controller_.reports()) {
    telemetry::HookPolicyNumbers& policy = all.emplace_back(telemetry::HookPolicyNumbers{
        .name = id.name, .state = ToString(report.state), .memory_bytes = report.numbers.memory_bytes, .hooks = {}});
    for (const hooks::HookNumbers& hook : report.numbers.hooks) policy.hooks.push_back({hook.hook, hook.counts});
  }
  return all;
}

}  // namespace sluice
