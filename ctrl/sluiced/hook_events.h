// The thread that reads the events of hook policies and passes them to telemetry.
#pragma once

#include <atomic>
#include <thread>

#include "ctrl/hooks/kernel_hooks.h"
#include "telemetry/hook/hook_event_reader.h"
#include "telemetry/metrics/hook_policies.h"
#include "telemetry/telemetry.h"

namespace sluice {

class HookEvents {
 public:
  // Both outlive it.
  static StatusOr<std::unique_ptr<HookEvents>> Start(hooks::KernelHooks* kernel, telemetry::Telemetry* telemetry,
                                                     const std::string& node);
  ~HookEvents();
  telemetry::HookRecordNumbers Numbers() const;  // thread-safe
  HookEvents(const HookEvents&) = delete;
  HookEvents& operator=(const HookEvents&) = delete;

 private:
  HookEvents(hooks::KernelHooks* kernel, telemetry::Telemetry* telemetry, const std::string& node);
  void Run();
  void TellLost();

  hooks::KernelHooks* const kernel_;
  // Without process sensors: no process is known.
  const telemetry::ProcessTree no_tree_;
  const telemetry::ProcessEvents no_events_;
  telemetry::HookStacks stacks_;
  telemetry::HookEventReader reader_;
  std::map<policy::ObjectName, std::uint64_t> lost_;  // told already
  std::atomic<bool> stopping_ = false;
  std::thread thread_;
};

}  // namespace sluice
