// Keeps the detector's rules those of the files: reads them once, again when they change, and when Reload is called. A
// file that is wrong changes nothing: the rules from before stay in force, and `Numbers` says why.
//
// No moment is blind: what the new rules need of the sensors is there before they are looked at, and what only the old
// ones needed ends after. A file that is being written is not read: it must be the same in two looks.
//   RuleFollower follower({.files = {.paths = {"rules.d"}}}, &sensors, &detector);
//   SL_RETURN_IF_ERROR(follower.Reload());
//   follower.Follow();
// Thread-safe.
#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "ctrl/detect/rule_files.h"
#include "ctrl/detect/sensor_needs.h"
#include "telemetry/detect/detector.h"

namespace sluice::detect {

class RuleFollower {
 public:
  struct Options {
    RuleFilesOptions files;
    // Types of events that there are sensors for: of rules for no such type there is a warning.
    policy::rules::EventSet sensed = policy::rules::AllEventTypes();
    std::function<void()> each_second;     // of the thread; may be empty
    std::chrono::milliseconds look{1000};  // between two looks at the files
  };

  // Both outlive it.
  RuleFollower(Options options, SensorNeeds* sensors, telemetry::Detector* detector);
  ~RuleFollower();
  RuleFollower(const RuleFollower&) = delete;
  RuleFollower& operator=(const RuleFollower&) = delete;

  // Reads the files now. Error: as LoadRuleFiles and SensorNeeds; the rules from before stay in force.
  Status Reload();
  // Starts the thread that looks whether files change. Once.
  void Follow();

  // All but events and outputs, which are the detector's.
  telemetry::DetectionNumbers Numbers() const;

 private:
  Status Load();  // by load_mutex_
  void Run();

  const Options options_;
  SensorNeeds* const sensors_;
  telemetry::Detector* const detector_;
  std::mutex load_mutex_;                                   // orders loads; locked before mutex_
  std::shared_ptr<const policy::rules::Ruleset> in_force_;  // by load_mutex_
  mutable std::mutex mutex_;
  telemetry::DetectionNumbers numbers_;  // this and the next ones: by mutex_
  std::string signature_;                // of the files, before they were read last
  bool stopping_ = false;
  std::condition_variable changed_;
  std::thread thread_;
};

}  // namespace sluice::detect
