// What all together need of the sensors: the rules in force, and recordings. Thread-safe.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <vector>

#include "base/status.h"
#include "policy/rules/ruleset.h"

namespace sluice::detect {

using Rulesets = std::vector<std::shared_ptr<const policy::rules::Ruleset>>;

class SensorNeeds {
 public:
  // `require`: from its return on, the sensors report what any of the rulesets can be true for; an error changes
  // nothing. Called one at a time. Empty: there are no sensors.
  explicit SensorNeeds(std::function<Status(const Rulesets&)> require) : require_(std::move(require)) {}

  // Instead of those from before. Error: as `require`; what was needed before still is.
  Status SetRules(const Rulesets& rules);
  // Of one more recording; returns its number. Error: likewise.
  StatusOr<std::uint64_t> AddRecording(const policy::rules::EventSet& types);
  void RemoveRecording(std::uint64_t number);

 private:
  Rulesets All() const;  // by mutex_

  const std::function<Status(const Rulesets&)> require_;
  std::mutex mutex_;
  Rulesets rules_;
  std::map<std::uint64_t, std::shared_ptr<const policy::rules::Ruleset>> recordings_;
  std::uint64_t last_ = 0;
};

// A ruleset that is true for each event of these types.
StatusOr<std::shared_ptr<const policy::rules::Ruleset>> RulesetOf(const policy::rules::EventSet& types);

}  // namespace sluice::detect
