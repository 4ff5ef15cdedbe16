// The agent's detection rules: the sensors of system calls and the thread that reads them, the rules in force, and what
// detections go to. Sensors are loaded with the first need.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "ctrl/detect/container_facts.h"
#include "ctrl/detect/rule_follower.h"
#include "ctrl/sluiced/call_sensors.h"
#include "ctrl/sluiced/options.h"
#include "telemetry/detect/detector.h"
#include "telemetry/detect/event_recording.h"
#include "telemetry/telemetry.h"

namespace sluice {

class DetectionRules {
 public:
  // What the rest of the agent knows that rules ask for.
  struct Known {
    const detect::ContainerFacts* containers = nullptr;
    const detect::ServiceNames* services = nullptr;
  };
  // Opens what detections are sent to, and the sensors; without sensors there is a warning. `telemetry` and
  // `containers` outlive this. InvalidArgument: an option.
  static StatusOr<std::unique_ptr<DetectionRules>> Start(const AgentOptions& options, const std::string& node,
                                                         telemetry::Telemetry* telemetry, const Known& known);
  ~DetectionRules();
  DetectionRules(const DetectionRules&) = delete;
  DetectionRules& operator=(const DetectionRules&) = delete;

  // Reads the rules files, if there are any, and follows them from then on. Error: the rules are wrong, or cannot be
  // applied; once the files are right, they come into force.
  Status Begin();
  // Reads the rules files again. Error: the earlier rules stay in force.
  Status Reload();
  // Ends recordings; nothing is detected any more.
  void Stop();

  bool has_files() const { return has_files_; }
  // Nothing: there are no files. Thread-safe.
  std::optional<telemetry::DetectionNumbers> Numbers() const;
  // Without types: of all that there are sensors for. The recording must end before this object. Thread-safe.
  StatusOr<std::shared_ptr<telemetry::EventRecording>> Record(const policy::rules::EventSet& types,
                                                              const policy::ObjectName& workload);

 private:
  DetectionRules(const AgentOptions& options, const std::string& node, telemetry::Telemetry* telemetry,
                 const Known& known);

  const bool has_files_;
  std::vector<std::unique_ptr<telemetry::DetectionOutput>> outputs_;  // before the detector, which offers to them
  telemetry::Detector detector_;
  telemetry::EventRecordings recordings_;
  std::unique_ptr<CallSensors> calls_;  // null: this kernel has none
  std::unique_ptr<detect::SensorNeeds> sensors_;
  std::unique_ptr<detect::RuleFollower> follower_;
};

}  // namespace sluice
