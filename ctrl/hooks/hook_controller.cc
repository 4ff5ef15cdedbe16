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

Status Refusal(const ResourceId& id, const Status& why) { return Annotate(why, id.ToString()); }

}  // namespace

const char* ToString(ReportedState state) {
  switch (state) {
    case ReportedState::kEnabled:
      return "enabled";
    case ReportedState::kMonitor:
      return "monitor";
    case ReportedState::kError:
      return "error";
  }
  return "";
}

Status HookController::Enforce(const Change& change) {
  const std::lock_guard lock(mutex_);
  if (has_begun_) return EnforceNow(change);
  noted_.emplace(change.resources, change.bindings);
  return OkStatus();
}

Status HookController::Begin() {
  const std::lock_guard lock(mutex_);
  has_begun_ = true;
  const auto noted = std::exchange(noted_, std::nullopt);
  return noted ? EnforceNow({.resources = noted->first, .bindings = noted->second}) : OkStatus();
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
  // If nothing can be loaded, what is left of the agent before is better than nothing.
  if (enforcer_) EndEarlier([this] { return enforcer_->EndEarlier(); });
  return OkStatus();
}

// What is in error is tried again by changes that may be refused.
bool HookController::IsAsBefore(const Change& change) const {
  for (const policy::Kind kind : policy::kTracingKinds) {
    if (!enforced_.Shares(kind, change.resources)) return false;
  }
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
    const bool is_wanted_already = entry.wanted == resource->yaml;
    if (is_wanted_already && (entry.problem.empty() || !change.refuses)) continue;
    changed.push_back(resource->id);
    const Status put = PutOne(*resource, change, entry);
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
    entry.problem = Message(put);
  }
  for (auto entry = entries_.begin(); entry != entries_.end();) {
    if (change.resources.contains(entry->first)) {
      ++entry;
      continue;
    }
    changed.push_back(entry->first);
    if (entry->second.in_force) {
      if (const Status removed = enforcer_->Remove(entry->first.name); !removed.ok()) {
        PutBack(before, changed);
        return Refusal(entry->first, removed);
      }
    }
    entry = entries_.erase(entry);
  }
  return OkStatus();
}

Status HookController::PutOne(const policy::Resource& resource, const Change& change, Entry& entry) {
  SL_ASSIGN_OR_RETURN(const auto compiled, options_.compile(resource.tracing));
  if (!enforcer_) {
    SL_ASSIGN_OR_RETURN(enforcer_, options_.open());
  }
  if (!has_subjects_) SL_RETURN_IF_ERROR(SetSubjects(change));
  SL_RETURN_IF_ERROR(enforcer_->Put(compiled));
  entry = {.wanted = resource.yaml,
           .problem = "",
           .monitors = resource.tracing->mode == TracingPolicy::Mode::kMonitor,
           .in_force = compiled};
  return OkStatus();
}

void HookController::PutBack(const Entries& before, const std::vector<ResourceId>& changed) {
  for (const ResourceId& id : changed) {
    const auto old = before.find(id);
    const auto now = entries_.find(id);
    const auto old_policy = old == before.end() ? nullptr : old->second.in_force;
    const auto new_policy = now == entries_.end() ? nullptr : now->second.in_force;
    if (old_policy == new_policy) continue;
    const Status status = old_policy ? enforcer_->Put(old_policy) : enforcer_->Remove(id.name);
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
    if (entry.in_force && !numbers.ok()) report.problem = Message(numbers.status());
    report.state = !report.problem.empty() ? ReportedState::kError
                   : entry.monitors        ? ReportedState::kMonitor
                                           : ReportedState::kEnabled;
    if (!entry.in_force || !numbers.ok()) continue;
    if (const auto of_policy = numbers->find(id.name); of_policy != numbers->end())
      report.numbers = std::move(of_policy->second);
  }
  return reports;
}

}  // namespace sluice::hooks
