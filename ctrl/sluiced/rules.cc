#include "ctrl/sluiced/rules.h"

#include <utility>

#include "base/log.h"
#include "ctrl/detect/http_sender.h"
#include "ctrl/detect/syslog_sender.h"

namespace sluice {
namespace {

telemetry::Detector::Options DetectorOptions(const AgentOptions& options, const std::string& node,
                                             telemetry::Telemetry* telemetry) {
  const telemetry::ProcessSensor* const sensor = telemetry->processes();
  return {.node = node,
          .mode = options.rules_match,
          .rate = options.rules_rate,
          .processes = sensor == nullptr ? nullptr : &sensor->events()};
}

StatusOr<std::vector<std::unique_ptr<telemetry::DetectionOutput>>> OpenOutputs(const AgentOptions& options) {
  std::vector<std::unique_ptr<telemetry::DetectionOutput>> outputs;
  if (!options.rules_http.url.empty()) {
    SL_ASSIGN_OR_RETURN(auto sender, detect::HttpSender::Create(options.rules_http));
    outputs.push_back(std::make_unique<telemetry::DetectionOutput>(telemetry::DetectionOutput::Options{.name = "http"},
                                                                   std::move(sender)));
  }
  if (!options.rules_syslog.empty()) {
    outputs.push_back(std::make_unique<telemetry::DetectionOutput>(
        telemetry::DetectionOutput::Options{.name = "syslog"},
        std::make_unique<detect::SyslogSender>(options.rules_syslog, options.rules_syslog_form)));
  }
  return outputs;
}

}  // namespace

DetectionRules::DetectionRules(const AgentOptions& options, const std::string& node, telemetry::Telemetry* telemetry,
                               const Known& known)
    : has_files_(!options.rules.paths.empty()),
      detector_(DetectorOptions(options, node, telemetry), &telemetry->hub(), &telemetry->history()) {
  auto calls = CallSensors::Start({.node = node,
                                   .processes = telemetry->processes(),
                                   .containers = known.containers,
                                   .services = known.services,
                                   .detector = &detector_,
                                   .recordings = &recordings_});
  if (calls.ok()) {
    calls_ = *std::move(calls);
  } else {
    LogWarn("detection rules see no system calls: {}", Message(calls.status()));
  }
  sensors_ = std::make_unique<detect::SensorNeeds>(
      calls_ == nullptr ? std::function<Status(const detect::Rulesets&)>()
                        : [this](const detect::Rulesets& rulesets) { return calls_->Require(rulesets); });
  if (!has_files_) return;
  follower_ =
      std::make_unique<detect::RuleFollower>(detect::RuleFollower::Options{.files = options.rules,
                                                                           .sensed = calls::CallStore::SupportedTypes(),
                                                                           .each_second = [this] { detector_.Tick(); }},
                                             sensors_.get(), &detector_);
}

StatusOr<std::unique_ptr<DetectionRules>> DetectionRules::Start(const AgentOptions& options, const std::string& node,
                                                                telemetry::Telemetry* telemetry, const Known& known) {
  std::unique_ptr<DetectionRules> rules(new DetectionRules(options, node, telemetry, known));
  if (!rules->has_files_) return rules;
  SL_ASSIGN_OR_RETURN(rules->outputs_, OpenOutputs(options));
  for (const auto& output : rules->outputs_) rules->detector_.AddOutput(output.get());
  return rules;
}

DetectionRules::~DetectionRules() { Stop(); }

Status DetectionRules::Begin() {
  if (follower_ == nullptr) return OkStatus();
  Status loaded = follower_->Reload();
  follower_->Follow();
  return loaded;
}

Status DetectionRules::Reload() { return follower_ == nullptr ? OkStatus() : follower_->Reload(); }

void DetectionRules::Stop() {
  recordings_.Close();
  follower_.reset();
}

std::optional<telemetry::DetectionNumbers> DetectionRules::Numbers() const {
  if (!has_files_) return std::nullopt;
  telemetry::DetectionNumbers numbers = follower_->Numbers();
  numbers.events = detector_.events();
  numbers.rules = detector_.Rules();
  numbers.losses = detector_.Losses();
  numbers.outputs = detector_.Outputs();
  numbers.missing = calls_ == nullptr ? "system calls" : calls_->missing();
  numbers.events_lost = calls_ == nullptr ? 0 : calls_->lost();
  return numbers;
}

StatusOr<std::shared_ptr<telemetry::EventRecording>> DetectionRules::Record(const policy::rules::EventSet& asked_for,
                                                                            const policy::ObjectName& workload) {
  const policy::rules::EventSet& types = asked_for.any() ? asked_for : calls::CallStore::SupportedTypes();
  SL_ASSIGN_OR_RETURN(const std::uint64_t number, sensors_->AddRecording(types));
  auto recording = recordings_.Begin({.types = types, .workload = workload});
  if (!recording.ok()) {
    sensors_->RemoveRecording(number);
    return recording.status();
  }
  return std::shared_ptr<telemetry::EventRecording>(recording->release(),
                                                    [this, number](telemetry::EventRecording* ended) {
                                                      const std::unique_ptr<telemetry::EventRecording> owned(ended);
                                                      sensors_->RemoveRecording(number);
                                                    });
}

}  // namespace sluice
