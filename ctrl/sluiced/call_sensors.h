// The sensors of system calls in the agent, and the thread that reads them.
#pragma once

#include <atomic>
#include <memory>
#include <thread>

#include "ctrl/detect/container_facts.h"
#include "ctrl/detect/sensor_needs.h"
#include "ctrl/detect/service_names.h"
#include "ctrl/node/cgroup_paths.h"
#include "kernel/calls/call_store.h"
#include "telemetry/calls/call_source.h"
#include "telemetry/detect/detector.h"
#include "telemetry/detect/event_recording.h"
#include "telemetry/telemetry.h"

namespace sluice {

class CallSensors {
 public:
  struct Options {
    std::string node;
    telemetry::ProcessSensor* processes = nullptr;  // null: no process is known
    const detect::ContainerFacts* containers = nullptr;
    const detect::ServiceNames* services = nullptr;
    telemetry::Detector* detector = nullptr;
    telemetry::EventRecordings* recordings = nullptr;
  };
  // Loads nothing yet. All that `options` points to outlives it.
  static StatusOr<std::unique_ptr<CallSensors>> Start(Options options);
  ~CallSensors();
  CallSensors(const CallSensors&) = delete;
  CallSensors& operator=(const CallSensors&) = delete;

  // As calls::CallStore::Require.
  Status Require(const detect::Rulesets& rulesets);
  std::string missing() const { return store_->missing(); }
  std::uint64_t lost() const { return lost_; }

 private:
  CallSensors(Options options, std::unique_ptr<calls::CallStore> store);
  telemetry::CallOwner OwnerOf(const telemetry::ProcessInstance& instance) const;
  void Run();
  void TellLosses();

  const Options options_;
  const telemetry::ProcessTree no_tree_;
  const std::unique_ptr<calls::CallStore> store_;
  node::CgroupPaths cgroup_paths_;  // of the thread
  telemetry::CallSource source_;
  std::atomic<std::uint64_t> lost_ = 0;
  std::atomic<bool> stopping_ = false;
  std::thread thread_;
};

}  // namespace sluice
