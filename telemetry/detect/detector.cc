#include "telemetry/detect/detector.h"

#include <set>
#include <utility>

#include "policy/rules/alert.h"
#include "telemetry/event/text.h"
#include "telemetry/falco/falco_event.h"

namespace sluice::telemetry {
namespace {

using policy::rules::Event;
using policy::rules::Rule;
using policy::rules::Ruleset;

constexpr char kDetectionType[] = "detection";
constexpr char kRuleRate[] = "RULES_RATE";
// Workloads that losses are told of one by one.
constexpr std::size_t kMaxUntold = 1024;

// What an event itself says of its process.
v1::Event DescribeByEvent(const Event& event) {
  v1::Event out;
  v1::Detection& detection = *out.mutable_detection();
  if (event.process == nullptr) return out;
  const policy::rules::Process& process = *event.process;
  v1::Process& to = *detection.mutable_process();
  to.set_pid(static_cast<std::uint32_t>(process.pid));
  to.set_binary(ToUtf8(process.executable.path));
  to.set_name(ToUtf8(process.name));
  to.set_argument0(ToUtf8(process.exe));
  for (const std::string& argument : process.arguments) to.add_arguments(ToUtf8(argument));
  to.set_uid(process.credentials.uid);
  to.set_gid(process.credentials.gid);
  to.set_working_directory(ToUtf8(process.cwd));
  if (event.container != nullptr) {
    to.set_container_id(ToUtf8(event.container->full_id));
    to.set_container_name(ToUtf8(event.container->name));
  }
  return out;
}

}  // namespace

Detector::Detector(Options options, EventHub* hub, History* history)
    : options_(std::move(options)), hub_(hub), history_(history), rate_(options_.rate) {}

void Detector::SetRuleset(std::shared_ptr<const Ruleset> ruleset) {
  // Made before the lock: events do not wait for it.
  std::unique_ptr<Active> active;
  std::set<std::string> names;
  if (ruleset != nullptr) {
    active = std::make_unique<Active>(ruleset);
    for (const Rule& rule : ruleset->rules()) names.insert(rule.name);
  }
  const auto is_known = [&](const std::string& name) { return names.contains(name); };
  const std::lock_guard lock(mutex_);
  if (active != nullptr) {
    for (const Rule& rule : ruleset->rules()) active->counts.push_back(&counts_[rule.name]);
  }
  std::erase_if(counts_, [&](const auto& one) { return !is_known(one.first); });
  losses_.Keep(is_known);
  active_.swap(active);
}

EventPtr Detector::Describe(const Rule& rule, const Event& event, const ProcessInstance* instance,
                            const policy::ObjectName& workload) const {
  v1::Event out = instance != nullptr && options_.processes != nullptr ? options_.processes->MakeDetection(*instance)
                                                                       : DescribeByEvent(event);
  v1::Detection& detection = *out.mutable_detection();
  if (detection.workload().empty() && !workload.name.empty()) {
    detection.set_namespace_(workload.ns);
    detection.set_workload(workload.name);
  }
  if (event.thread) detection.mutable_process()->set_tid(static_cast<std::uint32_t>(*event.thread));
  detection.set_node(options_.node);
  FillDetection(MakeAlert(rule, event), &detection);
  detection.set_call(std::string(policy::rules::NameOf(event.type)));
  if (instance != nullptr && options_.processes != nullptr && hub_->wants_parents()) {
    options_.processes->AddParent(*instance, &out);
  }
  return std::make_shared<const v1::Event>(std::move(out));
}

// The shares are those of a rule in a workload.
bool Detector::Admit(const Rule& rule, const policy::ObjectName& workload) {
  if (rate_.Take({rule.name, workload.ToString()}, options_.clock().monotonic_ns)) return true;
  counts_[rule.name].lost++;
  losses_.Of(rule.name, workload).lost++;
  untold_[untold_.size() < kMaxUntold ? workload : policy::ObjectName()]++;
  return false;
}

void Detector::OnEvent(const Event& event, const ProcessInstance* instance, const policy::ObjectName& workload) {
  std::vector<EventPtr> detections;
  {
    const std::lock_guard lock(mutex_);
    if (active_ == nullptr) return;
    events_++;
    const auto matches = active_->matcher.Match(event, options_.mode);
    if (matches.empty()) return;
    for (const std::uint32_t index : matches) {
      const Rule& rule = active_->ruleset->rules()[index];
      active_->counts[index]->matches++;
      if (Admit(rule, workload)) detections.push_back(Describe(rule, event, instance, workload));
    }
  }
  for (const EventPtr& detection : detections) {
    if (history_ != nullptr) history_->Push(detection);
    if (hub_->watched()) hub_->Publish(detection);
    for (DetectionOutput* const output : outputs_) output->Offer(detection);
  }
}

void Detector::NoteMissed(const policy::rules::EventSet& types, const policy::ObjectName& workload,
                          std::uint64_t count) {
  const std::lock_guard lock(mutex_);
  if (active_ == nullptr || count == 0) return;
  for (std::size_t i = 0; i < active_->counts.size(); ++i) {
    const Rule& rule = active_->ruleset->rules()[i];
    if ((rule.event_types & types).none()) continue;
    active_->counts[i]->missed += count;
    losses_.Of(rule.name, workload).missed += count;
  }
}

void Detector::Tick() {
  std::map<policy::ObjectName, std::uint64_t> untold;
  {
    const std::lock_guard lock(mutex_);
    untold.swap(untold_);
  }
  for (const auto& [workload, count] : untold) hub_->PublishLoss(kRuleRate, workload, kDetectionType, count);
}

std::uint64_t Detector::events() const {
  const std::lock_guard lock(mutex_);
  return events_;
}

std::vector<RuleNumbers> Detector::Rules() const {
  const std::lock_guard lock(mutex_);
  std::vector<RuleNumbers> all;
  if (active_ == nullptr) return all;
  for (std::size_t i = 0; i < active_->counts.size(); ++i) {
    const Rule& rule = active_->ruleset->rules()[i];
    const Counts& counts = *active_->counts[i];
    all.push_back({.rule = rule.name,
                   .source = rule.source,
                   .priority = rule.priority,
                   .tags = rule.tags,
                   .matches = counts.matches,
                   .lost = counts.lost,
                   .missed = counts.missed});
  }
  return all;
}

std::vector<RuleLoss> Detector::Losses() const {
  RuleLosses all;
  {
    const std::lock_guard lock(mutex_);
    for (const RuleLoss& loss : losses_.All()) all.Of(loss.rule, loss.workload) = loss;
  }
  for (const DetectionOutput* const output : outputs_) output->AddLosses(&all);
  return all.All();
}

std::vector<DetectionOutputNumbers> Detector::Outputs() const {
  std::vector<DetectionOutputNumbers> all;
  for (const DetectionOutput* const output : outputs_) all.push_back(output->Numbers());
  return all;
}

}  // namespace sluice::telemetry
