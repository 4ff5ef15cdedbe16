#include "ctrl/detect/sensor_needs.h"

#include <fmt/format.h>

#include <string_view>
#include <utility>

#include "base/log.h"
#include "policy/rules/loader.h"

namespace sluice::detect {

StatusOr<std::shared_ptr<const policy::rules::Ruleset>> RulesetOf(const policy::rules::EventSet& types) {
  std::vector<std::string_view> names;
  for (std::size_t type = 0; type < types.size(); ++type) {
    if (types.test(type)) names.push_back(policy::rules::NameOf(static_cast<policy::rules::EventType>(type)));
  }
  if (names.empty()) return InvalidError("no type of events is given");
  policy::rules::Loader loader;
  const auto result =
      loader.Load("recording", fmt::format("- rule: recording\n  desc: all events of these types\n  output: recorded\n"
                                           "  priority: debug\n  warn_evttypes: false\n  condition: evt.type in ({})\n",
                                           fmt::join(names, ", ")));
  if (!result.ok()) return MakeError(absl::StatusCode::kInternal, "{}", result.errors.front().ToString());
  return policy::rules::Ruleset::Compile(loader.rules());
}

Rulesets SensorNeeds::All() const {
  Rulesets all = rules_;
  for (const auto& [number, ruleset] : recordings_) all.push_back(ruleset);
  return all;
}

Status SensorNeeds::SetRules(const Rulesets& rules) {
  const std::lock_guard lock(mutex_);
  const Rulesets before = std::exchange(rules_, rules);
  Status required = require_ ? require_(All()) : OkStatus();
  if (!required.ok()) rules_ = before;
  return required;
}

StatusOr<std::uint64_t> SensorNeeds::AddRecording(const policy::rules::EventSet& types) {
  if (!require_) return MakeError(absl::StatusCode::kFailedPrecondition, "there are no sensors of system calls");
  SL_ASSIGN_OR_RETURN(auto ruleset, RulesetOf(types));
  const std::lock_guard lock(mutex_);
  const std::uint64_t number = ++last_;
  recordings_[number] = std::move(ruleset);
  if (const Status required = require_(All()); !required.ok()) {
    recordings_.erase(number);
    return required;
  }
  return number;
}

void SensorNeeds::RemoveRecording(std::uint64_t number) {
  const std::lock_guard lock(mutex_);
  recordings_.erase(number);
  if (const Status narrowed = require_(All()); !narrowed.ok())
    LogWarn("recording: its sensors stay: {}", Message(narrowed));
}

}  // namespace sluice::detect
