// Looks at the events of the sensors by the detection rules in force, and passes what meets a rule to followers, the
// history and outputs.
//   Detector detector({.node = "n1", ...}, &hub, &history);
//   detector.SetRuleset(ruleset);
//   detector.OnEvent(event);   // for each event of the sensors
// Each event is looked at by one ruleset: by the earlier one until SetRuleset returns, by the new one afterwards. Under
// a flood --rules-rate detections a second pass, and a rule in a workload that had few of them this second passes
// before others (RateLimit); the rest is counted by rule and workload before it costs more than its match. Thread-safe.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "policy/rules/ruleset.h"
#include "telemetry/detect/detection_output.h"
#include "telemetry/detect/rule_losses.h"
#include "telemetry/event/event_export.h"
#include "telemetry/event/event_hub.h"
#include "telemetry/event/history.h"
#include "telemetry/process/process_events.h"

namespace sluice::telemetry {

class Detector {
 public:
  struct Options {
    std::string node;
    policy::rules::MatchMode mode = policy::rules::MatchMode::kFirst;
    std::uint32_t rate = 1000;  // detections a second; 0: no limit
    // Describes processes; null: detections have what the rules' event says of them. Outlives the detector.
    const ProcessEvents* processes = nullptr;
    Clock clock = ReadClocks;
  };
  // `history` may be null. Both outlive the detector.
  Detector(Options options, EventHub* hub, History* history);

  // Before the first event. The outputs outlive the last one.
  void AddOutput(DetectionOutput* output) { outputs_.push_back(output); }

  // Counters of rules whose name stays go on. `ruleset` may be null: no rules.
  void SetRuleset(std::shared_ptr<const policy::rules::Ruleset> ruleset);

  // `instance`: the process as the process tree has it; null: not known. `workload`: the process's; empty: none.
  // Nothing that is given is used once this has returned.
  void OnEvent(const policy::rules::Event& event, const ProcessInstance* instance, const policy::ObjectName& workload);
  // `count` events of one of these types were lost before they came here. An empty workload: not known whose.
  void NoteMissed(const policy::rules::EventSet& types, const policy::ObjectName& workload, std::uint64_t count);
  // Once a second: tells followers what was lost.
  void Tick();

  std::uint64_t events() const;
  std::vector<RuleNumbers> Rules() const;  // in the order of the ruleset
  std::vector<RuleLoss> Losses() const;    // those of the outputs too
  std::vector<DetectionOutputNumbers> Outputs() const;

 private:
  struct Counts {
    std::uint64_t matches = 0;
    std::uint64_t lost = 0;
    std::uint64_t missed = 0;
  };
  struct Active {
    explicit Active(const std::shared_ptr<const policy::rules::Ruleset>& rules) : ruleset(rules), matcher(rules) {}
    std::shared_ptr<const policy::rules::Ruleset> ruleset;
    policy::rules::Matcher matcher;
    std::vector<Counts*> counts;  // by rule; in counts_
  };

  EventPtr Describe(const policy::rules::Rule& rule, const policy::rules::Event& event, const ProcessInstance* instance,
                    const policy::ObjectName& workload) const;
  bool Admit(const policy::rules::Rule& rule, const policy::ObjectName& workload);  // by mutex_

  const Options options_;
  EventHub* const hub_;
  History* const history_;
  std::vector<DetectionOutput*> outputs_;
  mutable std::mutex mutex_;
  std::unique_ptr<Active> active_;        // this and the next ones: by mutex_; null: no rules
  std::map<std::string, Counts> counts_;  // by rule
  RuleLosses losses_;
  RateLimit rate_;
  std::uint64_t events_ = 0;
  std::map<policy::ObjectName, std::uint64_t> untold_;  // lost by the rate, by workload
};

}  // namespace sluice::telemetry
