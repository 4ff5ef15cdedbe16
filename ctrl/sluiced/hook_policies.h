// The agent's hook policies: what they need of the kernel, and the thread that reads their events. Both come with the
// first policy.
#pragma once

#include <memory>
#include <mutex>
#include <string>

#include "ctrl/hooks/hook_controller.h"
#include "ctrl/sluiced/hook_events.h"
#include "kernel/datapath/bpf_datapath.h"
#include "telemetry/metrics/hook_policies.h"

namespace sluice {

class HookPolicies {
 public:
  struct Options {
    std::string bpf_root;
    std::string node;
    const bpf::AdminCalls* admin_calls = nullptr;
    datapath::BpfDatapath* datapath = nullptr;
  };
  // What the options point to outlives it.
  explicit HookPolicies(Options options);

  // Until Begin it notes what is wanted.
  hooks::HookController* controller() { return &controller_; }
  // Once the process sensors run, or it is known that there are none. `telemetry` must stay until Stop.
  Status Begin(telemetry::Telemetry* telemetry);
  // Pins the programs again whose pins somebody removed; returns how many. 0 before the first policy and after Stop.
  StatusOr<int> PutBackPins();
  // Events are read no more. What is in force stays; nothing new is loaded.
  void Stop();

  std::vector<telemetry::HookPolicyNumbers> Numbers() const;
  telemetry::HookRecordNumbers RecordNumbers() const;

 private:
  StatusOr<std::unique_ptr<hooks::HookEnforcer>> Open();

  const Options options_;
  hooks::HookController controller_;
  mutable std::mutex mutex_;
  telemetry::Telemetry* telemetry_ = nullptr;  // by mutex_; null: before Begin, and after Stop
  hooks::KernelHooks* kernel_ = nullptr;       // by mutex_; what the controller has opened
  std::unique_ptr<HookEvents> events_;         // by mutex_; reads it
};

}  // namespace sluice
