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

bool HasContainers(const policy::tracing::Scope& scope) { return scope.containers.has_value(); }

// In the policy's own scope or in one of matchWorkloads.
bool SelectsContainers(const TracingPolicy& policy) {
  return HasContainers(policy.scope) ||
         std::any_of(policy.hooks.begin(), policy.hooks.end(), [](const policy::tracing::Hook& hook) {
           return std::any_of(hook.selectors.begin(), hook.selectors.end(), [](const auto& selector) {
             return std::any_of(selector.workloads.begin(), selector.workloads.end(), HasContainers);
           });
         });
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
    case ReportedState::kOtherNodes:
      return "other-nodes";
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
    Keep(change);
    EndEarlier(options_.end_earlier);
    return OkStatus();
  }
  if (enforcer_) SL_RETURN_IF_ERROR(SetSubjects(change));
  if (!IsAsBefore(change)) SL_RETURN_IF_ERROR(SetPolicies(change));
  Keep(change);
  EndEarlierOnceKnown(change.refuses);
  return OkStatus();
}

void HookController::Keep(const Change& change) {
  enforced_ = change.resources;
  enforced_settings_ = change.settings;
  if (!change.same_workloads) bindings_ = change.bindings;
}

// If nothing can be loaded, what is left of the agent before is better than nothing.
void HookController::EndEarlierOnceKnown(bool at_once) {
  const bool awaits =
      std::any_of(entries_.begin(), entries_.end(), [](const auto& entry) { return entry.second.awaits; });
  const bool wants_none = std::all_of(entries_.begin(), entries_.end(), [](const auto& entry) {
    return !entry.second.setting.enabled || entry.second.other_nodes;
  });
  if (enforcer_) {
    if (at_once || !awaits) EndEarlier([this] { return enforcer_->EndEarlier(); });
  } else if (wants_none) {
    EndEarlier(options_.end_earlier);
  }
}

// After an error, what is known is what is in force, so that the next call does it again.
Status HookController::SetContainers(std::vector<LocalContainer> containers) {
  const std::lock_guard lock(mutex_);
  const bool is_first = !containers_;
  const auto before = std::exchange(containers_, std::move(containers));
  Status followed =
      FollowNode([is_first](const TracingPolicy& policy) { return is_first && hooks::SelectsContainers(policy); });
  if (!followed.ok()) containers_ = before;
  return followed;
}

Status HookController::SetNodeLabels(policy::Labels labels) {
  const std::lock_guard lock(mutex_);
  if (node_labels_ == labels) return OkStatus();
  const auto before = std::exchange(node_labels_, std::move(labels));
  Status followed = FollowNode([](const TracingPolicy& policy) { return policy.nodes.has_value(); });
  if (!followed.ok()) node_labels_ = before;
  return followed;
}

// Puts the policies that it concerns in force anew, as far as they are to be on this node.
Status HookController::FollowNode(const std::function<bool(const TracingPolicy&)>& concerns) {
  if (!has_begun_) return OkStatus();
  const Change change{.resources = enforced_, .bindings = bindings_, .settings = enforced_settings_};
  if (enforcer_) SL_RETURN_IF_ERROR(SetSubjects(change));
  bool concerns_any = false;
  for (const policy::Resource* const resource : PoliciesOf(enforced_)) {
    if (!concerns(*resource->tracing)) continue;
    entries_[resource->id].wanted.clear();
    concerns_any = true;
  }
  if (!concerns_any) return OkStatus();
  SL_RETURN_IF_ERROR(SetPolicies(change));
  EndEarlierOnceKnown(false);
  return OkStatus();
}

bool HookController::SelectsContainers(const policy::ResourceMap& resources) const {
  if (!containers_) return false;
  const auto policies = PoliciesOf(resources);
  return std::any_of(policies.begin(), policies.end(),
                     [](const policy::Resource* resource) { return hooks::SelectsContainers(*resource->tracing); });
}

Status HookController::CheckKnown(const TracingPolicy& policy) const {
  if (!containers_ && hooks::SelectsContainers(policy)) {
    return MakeError(absl::StatusCode::kFailedPrecondition,
                     "containerSelector: no container runtime has told this agent of its containers: it asks one with "
                     "--kube and --cri");
  }
  if (!node_labels_ && policy.nodes) {
    return MakeError(
        absl::StatusCode::kFailedPrecondition,
        "nodeSelector: the labels of this node are not known: no API server has told them (--kube); without "
        "one, give them by --node-label");
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
  // The subjects of containers take places and shares of the ring, so they are there only when a policy asks for them.
  const bool with_containers = SelectsContainers(change.resources);
  if (has_subjects_ && change.same_workloads && !with_containers && !has_container_subjects_) return OkStatus();
  std::vector<Subject> subjects =
      LocalSubjects(change.resources, change.bindings, with_containers ? *containers_ : std::vector<LocalContainer>(),
                    options_.cgroup_root, options_.inode);
  has_container_subjects_ = with_containers;
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
    entry.awaits = !CheckKnown(*resource->tracing).ok();
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
    entry.other_nodes = false;
  }
  entry.wanted = resource.yaml;
  entry.problem.clear();
  entry.awaits = false;
  entry.setting = setting;
  entry.monitors = monitors;
  return OkStatus();
}

Status HookController::PutOne(const policy::Resource& resource, const Change& change, Entry& entry) {
  SL_ASSIGN_OR_RETURN(const auto compiled, options_.compile(resource.tracing));
  SL_RETURN_IF_ERROR(CheckKnown(*resource.tracing));
  if (resource.tracing->nodes && !resource.tracing->nodes->Matches(*node_labels_)) {
    if (entry.in_force) SL_RETURN_IF_ERROR(enforcer_->Remove(resource.id.name));
    entry = {.wanted = resource.yaml,
             .problem = "",
             .setting = SettingOf(change.settings, resource.id),
             .other_nodes = true,
             .number = entry.number,
             .in_force = nullptr};
    return OkStatus();
  }
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
    if (const Status known = CheckKnown(*resource->tracing); !known.ok()) return Refusal(resource->id, known);
  }
  return OkStatus();
}

std::map<ResourceId, std::string> HookController::problems() const {
  const std::lock_guard lock(mutex_);
  std::map<ResourceId, std::string> problems;
  for (const auto& [id, entry] : entries_) {
    if (!entry.problem.empty()) problems.emplace(id, entry.problem);
  }
  return problems;
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
                   : entry.other_nodes      ? ReportedState::kOtherNodes
                   : entry.monitors         ? ReportedState::kMonitor
                                            : ReportedState::kEnabled;
    if (!entry.in_force || !numbers.ok()) continue;
    if (const auto of_policy = numbers->find(id.name); of_policy != numbers->end())
      report.numbers = std::move(of_policy->second);
  }
  return reports;
}

}  // namespace sluice::hooks
