// The agent's KubeArmor policies: what they need of the kernel, and the thread that reads their alerts. Both come with
// the first policy.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "ctrl/lsm/kernel_lsm.h"
#include "ctrl/lsm/lsm_controller.h"
#include "telemetry/lsm/alert_reader.h"
#include "telemetry/metrics/lsm_policies.h"
#include "telemetry/telemetry.h"

namespace sluice {

// Reads alerts and passes them to telemetry.
class LsmAlerts {
 public:
  using LabelsOf = std::function<policy::Labels(const policy::ObjectName& workload)>;

  // All outlive it.
  LsmAlerts(lsm::LsmStore* store, telemetry::Telemetry* telemetry, const std::string& node, LabelsOf labels);
  ~LsmAlerts();
  LsmAlerts(const LsmAlerts&) = delete;
  LsmAlerts& operator=(const LsmAlerts&) = delete;

 private:
  void Run();
  void TellLost();

  lsm::LsmStore* const store_;
  // Without process sensors: no process is known.
  const telemetry::ProcessTree no_tree_;
  const telemetry::ProcessEvents no_events_;
  telemetry::AlertReader reader_;
  std::uint64_t lost_ = 0;  // told already
  std::atomic<bool> stopping_ = false;
  std::thread thread_;
};

class LsmPolicies {
 public:
  struct Options {
    std::string bpf_root;
    std::string node;
    LsmAlerts::LabelsOf labels;
  };
  explicit LsmPolicies(Options options);

  // Until Begin it notes what is wanted.
  lsm::LsmController* controller() { return &controller_; }
  // Once the process sensors run, or it is known that there are none. `telemetry` must stay until Stop.
  Status Begin(telemetry::Telemetry* telemetry);
  // Alerts are read no more. What is in force stays; nothing new is loaded.
  void Stop();

  telemetry::LsmNumbers Numbers() const;

 private:
  StatusOr<std::unique_ptr<lsm::LsmEnforcer>> Open();

  const Options options_;
  lsm::LsmController controller_;
  mutable std::mutex mutex_;
  telemetry::Telemetry* telemetry_ = nullptr;  // by mutex_; null: before Begin, and after Stop
  lsm::LsmStore* store_ = nullptr;             // by mutex_; the controller's, once it is open
  std::unique_ptr<LsmAlerts> alerts_;          // by mutex_
};

}  // namespace sluice
