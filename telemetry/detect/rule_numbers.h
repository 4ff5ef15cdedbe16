// What detection rules do, and what they may have missed. Values.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "policy/resource/model.h"
#include "policy/rules/rule.h"

namespace sluice::telemetry {

// Counters of a rule go on when its file is loaded again, as long as a rule of that name is there.
struct RuleNumbers {
  std::string rule;
  std::string source;
  policy::rules::Priority priority = policy::rules::Priority::kDebug;
  std::vector<std::string> tags;
  std::uint64_t matches = 0;  // events that met it
  std::uint64_t lost = 0;     // of these, detections that were not sent: --rules-rate
  std::uint64_t missed = 0;   // lost events that it might have met
};

// The losses of one rule in one workload.
struct RuleLoss {
  std::string rule;  // "other": of pairs beyond the bound
  policy::ObjectName workload;
  std::uint64_t lost = 0;
  std::uint64_t missed = 0;
  std::uint64_t unsent = 0;  // detections that an output gave up
};

// A receiver of detections.
struct DetectionOutputNumbers {
  std::string name;
  std::uint64_t sent = 0;
  std::uint64_t lost = 0;      // the queue was full, or the receiver refused them
  std::uint64_t failures = 0;  // attempts
  std::uint64_t queued = 0;
  std::string problem;  // of the last attempt; empty: it worked
};

struct DetectionNumbers {
  bool in_force = false;          // rules were loaded
  std::string problem;            // why the newest files are not in force; empty: they are
  std::uint64_t loads = 0;        // that came into force
  std::uint64_t refusals = 0;     // loads that were refused
  std::int64_t loaded_ns = 0;     // since 1970: when the rules in force were loaded
  std::uint64_t events = 0;       // that were looked at
  std::uint64_t events_lost = 0;  // before they could be
  std::string missing;            // what this kernel has no sensor for; empty: nothing
  struct File {
    std::string path;
    std::string sha256;  // of the text in force
  };
  std::vector<File> files;
  std::vector<RuleNumbers> rules;
  std::vector<RuleLoss> losses;
  std::vector<DetectionOutputNumbers> outputs;
};

// Nothing: the agent has no rules files. Thread-safe.
using DetectionNow = std::function<std::optional<DetectionNumbers>()>;

}  // namespace sluice::telemetry
