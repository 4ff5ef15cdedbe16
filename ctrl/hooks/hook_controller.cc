#include "ctrl/hooks/hook_controller.h"

#include <algorithm>

#include "base/log.h"

namespace sluice::hooks {
namespace {

using policy::ResourceId;
using policy::tracing::TracingPolicy;

// Of both kinds, in order.
std::vector<const policy::Resource*> PoliciesOf(const policy::ResourceMap& resources) {
  std::vector<const policy::Resource*> policies;
  for (const policy::Kind kind : policy::kTracingKinds) {
    for (const auto& [id, resource] : resources.of(kind)) policies.push_back(&resource);
  }
  return policies;
}

bool Monitors(const HookSetting& setting, const TracingPolicy& policy) {
  return setting.monitor.value_or(policy.mode == TracingPolicy::Mode::kMonitor);
}

Status Refusal(const ResourceId& id, const Status& why) { return Annotate(why, id.ToString()); }

}  // namespace

const char* ToString(ReportedState state) {
  switch (state) {
    case ReportedState::kEnabled:
      return "enabled";
    case ReportedState::kMonitor:
      return "monitor";
    case ReportedState::kDisabled:
      return "disabled";
    case ReportedState::kError:
      return "error";
  }
  return "";
}

Status HookController::Enforce(const Change& change) {
  const std::lock_guard lock(mutex_);
  if (has_begun_) return EnforceNow(change);
  noted_ = Noted{.resources = change.resources, .bindings = change.bindings, .settings = change.settings};
  return OkStatus();
}

Status HookController::Begin() {
  const std::lock_guard lock(mutex_);
  has_begun_ = true;
  const auto noted = std::exchange(noted_, std::nullopt);
  if (!noted) return OkStatus();
  return EnforceNow({.resources = noted->resources, .bindings = noted->bindings, .settings = noted->settings});
}

Status HookController::EnforceNow(const Change& change) {
  if (!enforcer_ && PoliciesOf(change.resources).empty()) {
    entries_.clear();
    enforced_ = change.resources;
    EndEarlier(options_.end_earlier);
    return OkStatus();
  }
  if (enforcer_) SL_RETURN_IF_ERROR(SetSubjects(change));
  if (!IsAsBefore(change)) SL_RETURN_IF_ERROR(SetPolicies(change));
  enforced_ = change.resources;
  enforced_settings_ = change.settings;
  // If nothing can be loaded, what is left of the agent before is better than nothing.
  if (enforcer_) {
    EndEarlier([this] { return enforcer_->EndEarlier(); });
  } else if (std::none_of(entries_.begin(), entries_.end(),
                          [](const auto& entry) { return entry.second.setting.enabled; })) {
    EndEarlier(options_.end_earlier);
  }
  return OkStatus();
}

// What is in error is tried again by changes that may be refused.
bool HookController::IsAsBefore(const Change& change) const {
  for (const policy::Kind kind : policy::kTracingKinds) {
    if (!enforced_.Shares(kind, change.resources)) return false;
  }
  if (enforced_settings_ != change.settings) return false;
  return !change.refuses || std::none_of(entries_.begin(), entries_.end(),
                                         [](const auto& entry) { return !entry.second.problem.empty(); });
}

// Whether the change must not be made without this policy.
bool HookController::MustDo(const ResourceId& id, const policy::Resource& resource, const Change& change) const {
  if (!change.refuses) return false;
  const auto entry = entries_.find(id);
  return change.asked_for.contains(id) || entry == entries_.end() || entry->second.wanted != resource.yaml;
}

Status HookController::SetSubjects(const Change& change) {
  if (has_subjects_ && change.same_workloads) return OkStatus();
  std::vector<Subject> subjects =
      LocalSubjects(change.resources, change.bindings, options_.cgroup_root, options_.inode);
  if (has_subjects_ && std::equal(subjects.begin(), subjects.end(), subjects_.begin(), subjects_.end(), IsSame))
    return OkStatus();
  SL_RETURN_IF_ERROR(Annotate(enforcer_->SetSubjects(subjects), "tell the kernel's hooks the workloads"));
  subjects_ = std::move(subjects);
  has_subjects_ = true;
  return OkStatus();
}

Status HookController::SetPolicies(const Change& change) {
  const Entries before = entries_;
  std::vector<ResourceId> changed;
  for (const policy::Resource* const resource : PoliciesOf(change.resources)) {
    const bool must = MustDo(resource->id, *resource, change);
    Entry& entry = entries_[resource->id];
    if (entry.number == 0) entry.number = ++last_number_;
    const bool is_wanted_already =
        entry.wanted == resource->yaml && entry.setting == SettingOf(change.settings, resource->id);
    if (is_wanted_already && (entry.problem.empty() || !change.refuses)) continue;
    changed.push_back(resource->id);
    const Status put = SetOne(*resource, change, entry);
    if (put.ok()) continue;
    if (must) {
      PutBack(before, changed);
      return Refusal(resource->id, put);
    }
    if (!is_wanted_already || entry.problem != Message(put)) {
      LogError("{} is not enforced{}: {}", resource->id.ToString(), entry.in_force ? ", its earlier version is" : "",
               Message(put));
    }
    entry.wanted = resource->yaml;
    entry.setting = SettingOf(change.settings, resource->id);
    entry.problem = Message(put);
  }
  for (auto entry = entries_.begin(); entry != entries_.end();) {
    if (change.resources.contains(entry->first)) {
      ++entry;
      continue;
    }
    changed.push_back(entry->first);
    if (const Status removed = TakeOut(entry->first, entry->second); !removed.ok()) {
      PutBack(before, changed);
      return Refusal(entry->first, removed);
    }
    entry = entries_.erase(entry);
  }
  return OkStatus();
}

Status HookController::TakeOut(const ResourceId& id, Entry& entry) {
  if (entry.in_force) SL_RETURN_IF_ERROR(enforcer_->Remove(id.name));
  entry.in_force = nullptr;
  return OkStatus();
}

// As the setting says: in force, in the other mode, or taken out. A policy that is disabled is still compiled, so that
// a bad document is refused at once.
Status HookController::SetOne(const policy::Resource& resource, const Change& change, Entry& entry) {
  const HookSetting setting = SettingOf(change.settings, resource.id);
  const bool is_in_force = entry.in_force && entry.problem.empty() && entry.wanted == resource.yaml;
  if (setting.enabled && !is_in_force) return PutOne(resource, change, entry);
  const bool monitors = Monitors(setting, *resource.tracing);
  if (setting.enabled) {
    SL_RETURN_IF_ERROR(enforcer_->SetState(resource.id.name, {.enabled = true, .monitor = monitors}));
  } else {
    if (entry.wanted != resource.yaml) SL_RETURN_IF_ERROR(options_.compile(resource.tracing).status());
    SL_RETURN_IF_ERROR(TakeOut(resource.id, entry));
  }
  entry.wanted = resource.yaml;
  entry.problem.clear();
  entry.setting = setting;
  entry.monitors = monitors;
  return OkStatus();
}

Status HookController::PutOne(const policy::Resource& resource, const Change& change, Entry& entry) {
  SL_ASSIGN_OR_RETURN(const auto compiled, options_.compile(resource.tracing));
  if (!enforcer_) {
    SL_ASSIGN_OR_RETURN(enforcer_, options_.open());
  }
  if (!has_subjects_) SL_RETURN_IF_ERROR(SetSubjects(change));
  const HookSetting setting = SettingOf(change.settings, resource.id);
  const bool monitors = Monitors(setting, *resource.tracing);
  SL_RETURN_IF_ERROR(enforcer_->Put(compiled, {.enabled = true, .monitor = monitors}));
  entry = {.wanted = resource.yaml,
           .problem = "",
           .setting = setting,
           .monitors = monitors,
           .number = entry.number,
           .in_force = compiled};
  return OkStatus();
}

void HookController::PutBack(const Entries& before, const std::vector<ResourceId>& changed) {
  for (const ResourceId& id : changed) {
    const auto old = before.find(id);
    const auto now = entries_.find(id);
    const auto old_policy = old == before.end() ? nullptr : old->second.in_force;
    const auto new_policy = now == entries_.end() ? nullptr : now->second.in_force;
    const bool monitors = old != before.end() && old->second.monitors;
    if (old_policy == new_policy && (!old_policy || monitors == now->second.monitors)) continue;
    const PolicyState state{.enabled = true, .monitor = monitors};
    const Status status = !old_policy                ? enforcer_->Remove(id.name)
                          : old_policy == new_policy ? enforcer_->SetState(id.name, state)
                                                     : enforcer_->Put(old_policy, state);
    if (!status.ok()) LogError("{}: put back what was in force: {}", id.ToString(), Message(status));
  }
  entries_ = before;
}

void HookController::EndEarlier(const std::function<Status()>& end) {
  if (ended_earlier_) return;
  const Status ended = end();
  ended_earlier_ = ended.ok();
  if (!ended.ok()) LogError("end the hook policies of the agent before: {}", Message(ended));
}

Status HookController::Check(const Change& change) const {
  const std::lock_guard lock(mutex_);
  for (const policy::Resource* const resource : PoliciesOf(change.resources)) {
    if (!MustDo(resource->id, *resource, change)) continue;
    if (const auto compiled = options_.compile(resource->tracing); !compiled.ok())
      return Refusal(resource->id, compiled.status());
  }
  return OkStatus();
}

PolicyReports HookController::reports() const {
  const std::lock_guard lock(mutex_);
  StatusOr<std::map<policy::ObjectName, PolicyNumbers>> numbers = std::map<policy::ObjectName, PolicyNumbers>();
  if (enforcer_) numbers = enforcer_->Read();
  PolicyReports reports;
  for (const auto& [id, entry] : entries_) {
    PolicyReport& report = reports[id];
    report.problem = entry.problem;
    report.setting = entry.setting;
    report.monitors = entry.monitors;
    report.number = entry.number;
    report.in_force = entry.in_force;
    if (entry.in_force && !numbers.ok()) report.problem = Message(numbers.status());
    report.state = !report.problem.empty()  ? ReportedState::kError
                   : !entry.setting.enabled ? ReportedState::kDisabled
                   : entry.monitors         ? ReportedState::kMonitor
                                            : ReportedState::kEnabled;
    if (!entry.in_force || !numbers.ok()) continue;
    if (const auto of_policy = numbers->find(id.name); of_policy != numbers->end())
      report.numbers = std::move(of_policy->second);
  }
  return reports;
}

}  // namespace sluice::hooks
