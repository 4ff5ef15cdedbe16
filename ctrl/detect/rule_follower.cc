#include "ctrl/detect/rule_follower.h"

#include <algorithm>
#include <utility>

#include "base/log.h"
#include "base/printable.h"

namespace sluice::detect {
namespace {

constexpr std::size_t kWarningsLogged = 10;

void LogLoaded(const LoadedRules& loaded) {
  for (std::size_t i = 0; i < std::min(loaded.warnings.size(), kWarningsLogged); ++i)
    LogWarn("rules: {}", loaded.warnings[i]);
  if (loaded.warnings.size() > kWarningsLogged)
    LogWarn("rules: {} more warnings; `sluice rules check` shows all", loaded.warnings.size() - kWarningsLogged);
  LogInfo("rules: {} are in force, from {} files; {} are switched off", loaded.ruleset->rules().size(),
          loaded.files.size(), loaded.switched_off);
}

}  // namespace

RuleFollower::RuleFollower(Options options, SensorNeeds* sensors, telemetry::Detector* detector)
    : options_(std::move(options)), sensors_(sensors), detector_(detector) {}

RuleFollower::~RuleFollower() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  if (thread_.joinable()) thread_.join();
}

Status RuleFollower::Reload() {
  const std::lock_guard loading(load_mutex_);
  std::string signature = SignatureOf(options_.files.paths);
  Status status = Load();
  const std::lock_guard lock(mutex_);
  signature_ = std::move(signature);
  numbers_.problem = status.ok() ? "" : Message(status);
  (status.ok() ? numbers_.loads : numbers_.refusals)++;
  return status;
}

Status RuleFollower::Load() {
  SL_ASSIGN_OR_RETURN(LoadedRules loaded, LoadRuleFiles(options_.files));
  for (const policy::rules::Rule& rule : loaded.ruleset->rules()) {
    if ((rule.event_types & options_.sensed).any()) continue;
    loaded.warnings.push_back(fmt::format("{}:{}: rule '{}' can never be met: there is no sensor for its events",
                                          rule.file, rule.place.line, Printable(rule.name)));
  }
  Rulesets both = {loaded.ruleset};
  if (in_force_ != nullptr) both.push_back(in_force_);
  SL_RETURN_IF_ERROR(Annotate(sensors_->SetRules(both), "sensors for the rules"));
  detector_->SetRuleset(loaded.ruleset);
  in_force_ = loaded.ruleset;
  // What the earlier rules needed costs, but does no harm.
  if (both.size() > 1) {
    if (const Status narrowed = sensors_->SetRules({in_force_}); !narrowed.ok())
      LogWarn("rules: sensors that no rule needs any more stay: {}", Message(narrowed));
  }
  LogLoaded(loaded);
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  const std::lock_guard lock(mutex_);
  numbers_.in_force = true;
  numbers_.files = std::move(loaded.files);
  numbers_.loaded_ns = std::chrono::duration_cast<std::chrono::nanoseconds>(now).count();
  return OkStatus();
}

void RuleFollower::Follow() { thread_ = std::thread(&RuleFollower::Run, this); }

void RuleFollower::Run() {
  std::string seen;  // a change that was seen once
  auto each_second_at = std::chrono::steady_clock::now();
  while (true) {
    std::string known;
    {
      std::unique_lock lock(mutex_);
      if (changed_.wait_for(lock, options_.look, [this] { return stopping_; })) return;
      known = signature_;
    }
    if (options_.each_second && std::chrono::steady_clock::now() >= each_second_at) {
      each_second_at = std::chrono::steady_clock::now() + std::chrono::seconds(1);
      options_.each_second();
    }
    const std::string now = SignatureOf(options_.files.paths);
    if (now != known && now == seen) {
      if (const Status loaded = Reload(); !loaded.ok())
        LogError("rules: refused, the earlier rules stay in force: {}", Message(loaded));
    }
    seen = now;
  }
}

telemetry::DetectionNumbers RuleFollower::Numbers() const {
  const std::lock_guard lock(mutex_);
  return numbers_;
}

}  // namespace sluice::detect
