#include "ctrl/lsm/lsm_controller.h"

#include <algorithm>

#include "base/log.h"
#include "policy/lsm/peer_policies.h"

namespace sluice::lsm {
namespace {

using policy::ResourceId;

std::vector<const policy::Resource*> ResourcesOf(const policy::ResourceMap& resources) {
  std::vector<const policy::Resource*> policies;
  for (const policy::Kind kind : policy::kKubeArmorKinds) {
    for (const auto& [id, resource] : resources.of(kind)) policies.push_back(&resource);
  }
  return policies;
}

policy::Kind KindOf(policy::lsm::Policy::Kind kind) { return policy::kKubeArmorKinds[static_cast<std::size_t>(kind)]; }
static_assert(policy::kKubeArmorKinds[static_cast<std::size_t>(policy::lsm::Policy::Kind::kHost)] ==
              policy::Kind::kKubeArmorHostPolicy);

// Pods have a container runtime, also those that the API server has not told of yet; others may have none.
bool IsOfRuntime(const policy::ResourceMap& resources, const policy::ObjectName& workload) {
  if (resources.contains({policy::Kind::kPod, workload})) return true;
  const ResourceId id{policy::Kind::kWorkload, workload};
  return resources.contains(id) && !resources.at(id).workload->closed_because.empty();
}

std::vector<Subject> SubjectsOf(const policy::ResourceMap& resources, std::vector<hooks::Subject> local) {
  std::vector<Subject> subjects;
  for (hooks::Subject& one : local) {
    const bool of_runtime = IsOfRuntime(resources, hooks::WorkloadOfKey(one.key));
    subjects.push_back({.key = std::move(one.key),
                        .cgroups = std::move(one.cgroups),
                        .netns = std::move(one.netns),
                        .of_runtime = of_runtime});
  }
  return subjects;
}

bool IsSameSubject(const Subject& one, const Subject& other) {
  return one.key == other.key && one.cgroups == other.cgroups && one.netns == other.netns &&
         one.of_runtime == other.of_runtime;
}

}  // namespace

Status LsmController::Enforce(const Change& change) {
  const std::lock_guard lock(mutex_);
  if (has_begun_) return EnforceNow(change);
  noted_.emplace(change.resources, change.bindings);
  return OkStatus();
}

Status LsmController::Begin() {
  const std::lock_guard lock(mutex_);
  has_begun_ = true;
  const auto noted = std::exchange(noted_, std::nullopt);
  return noted ? EnforceNow({.resources = noted->first, .bindings = noted->second}) : OkStatus();
}

// Labels of workloads and annotations of namespaces decide, too.
bool LsmController::IsAsBefore(const Change& change) const {
  if (!change.same_workloads) return false;
  for (const policy::Kind kind : policy::kKubeArmorKinds) {
    if (!enforced_.Shares(kind, change.resources)) return false;
  }
  for (const policy::Kind kind : {policy::Kind::kWorkload, policy::Kind::kNamespace}) {
    if (!enforced_.Shares(kind, change.resources)) return false;
  }
  return !change.refuses || std::none_of(entries_.begin(), entries_.end(),
                                         [](const auto& entry) { return !entry.second.problem.empty(); });
}

// Whether the change must not be made without this policy.
bool LsmController::MustDo(const policy::Resource& resource, const Change& change) const {
  if (!change.refuses) return false;
  const auto entry = entries_.find(resource.id);
  return change.asked_for.contains(resource.id) || entry == entries_.end() || entry->second.wanted != resource.yaml;
}

Status LsmController::CheckOne(const policy::lsm::Policy& policy) const {
  SL_RETURN_IF_ERROR(policy::lsm::PeerPoliciesOf(policy).status());
  SL_RETURN_IF_ERROR(CheckSelection(policy, node_));
  if (!NeedsKernel(policy)) return OkStatus();
  SL_RETURN_IF_ERROR(options_.check_kernel());
  const std::shared_ptr<const policy::lsm::Policy> alone(std::shared_ptr<void>(), &policy);
  return policy::lsm::Compile({{.key = "", .policies = {alone}, .postures = {}}}, options_.compile).status();
}

// The entries after the change. Error: it must not be made.
StatusOr<LsmController::Entries> LsmController::CheckAll(const Change& change) const {
  Entries entries;
  for (const policy::Resource* const resource : ResourcesOf(change.resources)) {
    const auto before = entries_.find(resource->id);
    Entry& entry = entries[resource->id];
    if (before != entries_.end()) entry = before->second;
    const bool is_wanted_already = before != entries_.end() && entry.wanted == resource->yaml;
    const bool is_tried_again = change.refuses || (entry.awaits && CheckSelection(*resource->lsm, node_).ok());
    if (is_wanted_already && (entry.problem.empty() || !is_tried_again)) continue;
    const Status right = CheckOne(*resource->lsm);
    if (!right.ok() && MustDo(*resource, change)) return Annotate(right, resource->id.ToString());
    if (!right.ok() && (!is_wanted_already || entry.problem != Message(right))) {
      LogError("{} is not enforced{}: {}", resource->id.ToString(), entry.in_force ? ", its earlier version is" : "",
               Message(right));
    }
    entry.wanted = resource->yaml;
    entry.problem = right.ok() ? "" : Message(right);
    entry.awaits = !right.ok() && !CheckSelection(*resource->lsm, node_).ok();
    if (right.ok()) entry.in_force = resource->lsm;
  }
  return entries;
}

// Tables that know a new workload or container come before it. Containers are subjects of their own from the first
// policy on that selects some: if they were none again, their processes would be under no rules for a moment.
Status LsmController::Put(const Change& change, const Entries& entries) {
  Policies policies;
  for (const auto& [id, entry] : entries) {
    if (entry.in_force) policies.emplace(id, entry.in_force);
  }
  const bool with_containers =
      has_container_subjects_ ||
      std::any_of(policies.begin(), policies.end(), [](const auto& one) { return SelectsContainers(*one.second); });
  std::vector<hooks::Subject> local = hooks::LocalSubjects(
      change.resources, change.bindings,
      with_containers && node_.containers ? *node_.containers : std::vector<hooks::LocalContainer>(),
      options_.cgroup_root, options_.inode);
  Workloads workloads = PoliciesOfWorkloads(change.resources, local, policies, node_);
  const bool needs_kernel =
      std::any_of(policies.begin(), policies.end(), [](const auto& one) { return NeedsKernel(*one.second); });
  if (!enforcer_ && !needs_kernel) return OkStatus();
  if (!enforcer_) {
    SL_ASSIGN_OR_RETURN(enforcer_, options_.open());
  }
  if (!std::equal(workloads.begin(), workloads.end(), workloads_.begin(), workloads_.end(), IsSame)) {
    SL_ASSIGN_OR_RETURN(const auto compiled, policy::lsm::Compile(workloads, options_.compile));
    SL_RETURN_IF_ERROR(enforcer_->Replace(compiled));
    workloads_ = std::move(workloads);
  }
  std::vector<Subject> subjects = SubjectsOf(change.resources, std::move(local));
  has_container_subjects_ = with_containers;
  if (std::equal(subjects.begin(), subjects.end(), subjects_.begin(), subjects_.end(), IsSameSubject))
    return OkStatus();
  SL_RETURN_IF_ERROR(Annotate(enforcer_->SetSubjects(subjects), "tell the kernel's LSM programs the workloads"));
  subjects_ = std::move(subjects);
  return OkStatus();
}

Status LsmController::EnforceNow(const Change& change) { return IsAsBefore(change) ? OkStatus() : EnforceAll(change); }

Status LsmController::EnforceAll(const Change& change) {
  SL_ASSIGN_OR_RETURN(Entries entries, CheckAll(change));
  if (const Status put = Put(change, entries); !put.ok()) {
    if (change.refuses) return Annotate(put, "KubeArmor policies");
    // Nothing can be taken back: what is new is in error, and the workloads have what was in force before.
    LogError("KubeArmor policies are not enforced as they are wanted: {}", Message(put));
    for (auto& [id, entry] : entries) {
      const auto before = entries_.find(id);
      const auto in_force = before == entries_.end() ? nullptr : before->second.in_force;
      if (entry.in_force != in_force) entry.problem = Message(put);
      entry.in_force = in_force;
    }
    SL_RETURN_IF_ERROR(Put(change, entries));
  }
  entries_ = std::move(entries);
  enforced_ = change.resources;
  bindings_ = change.bindings;
  EndEarlierOnceKnown(change.refuses);
  return OkStatus();
}

// If nothing can be loaded, what is left of the agent before is better than nothing.
void LsmController::EndEarlierOnceKnown(bool at_once) {
  const bool awaits =
      std::any_of(entries_.begin(), entries_.end(), [](const auto& entry) { return entry.second.awaits; });
  const bool all_in_force =
      std::all_of(entries_.begin(), entries_.end(), [](const auto& entry) { return entry.second.problem.empty(); });
  if (enforcer_) {
    if (at_once || !awaits) EndEarlier([this] { return enforcer_->EndEarlier(); });
  } else if (all_in_force) {
    EndEarlier(options_.end_earlier);
  }
}

// After an error, what is known is what is in force, so that the next call does it again.
Status LsmController::SetContainers(std::vector<hooks::LocalContainer> containers) {
  const std::lock_guard lock(mutex_);
  if (node_.containers == containers) return OkStatus();
  auto before = std::exchange(node_.containers, std::move(containers));
  Status followed = FollowNode();
  if (!followed.ok()) node_.containers = std::move(before);
  return followed;
}

Status LsmController::SetNodeLabels(policy::Labels labels) {
  const std::lock_guard lock(mutex_);
  if (node_.labels == labels) return OkStatus();
  auto before = std::exchange(node_.labels, std::move(labels));
  Status followed = FollowNode();
  if (!followed.ok()) node_.labels = std::move(before);
  return followed;
}

// Without policies nothing depends on it; and none may only mean that those that are wanted could not be enforced yet.
Status LsmController::FollowNode() {
  if (!has_begun_ || entries_.empty()) return OkStatus();
  const policy::ResourceMap resources = enforced_;
  const hooks::Bindings bindings = bindings_;
  return EnforceAll({.resources = resources, .bindings = bindings});
}

NodeInfo LsmController::node() const {
  const std::lock_guard lock(mutex_);
  return node_;
}

void LsmController::EndEarlier(const std::function<Status()>& end) {
  if (ended_earlier_ || !end) return;
  const Status ended = end();
  ended_earlier_ = ended.ok();
  if (!ended.ok()) LogError("end the KubeArmor policies of the agent before: {}", Message(ended));
}

Status LsmController::Check(const Change& change) const {
  const std::lock_guard lock(mutex_);
  return CheckAll(change).status();
}

std::map<ResourceId, std::string> LsmController::problems() const {
  const std::lock_guard lock(mutex_);
  std::map<ResourceId, std::string> problems;
  for (const auto& [id, entry] : entries_) {
    if (!entry.problem.empty()) problems.emplace(id, entry.problem);
  }
  return problems;
}

LsmReports LsmController::reports() const {
  const std::lock_guard lock(mutex_);
  LsmReports reports;
  for (const auto& [id, entry] : entries_) reports[id].problem = entry.problem;
  for (const auto& workload : workloads_) {
    for (const auto& policy : workload.policies) {
      const auto report = reports.find({KindOf(policy->kind), policy->name});
      if (report == reports.end()) continue;
      const std::string name = workload.key.empty() ? "" : hooks::WorkloadOfKey(workload.key).ToString();
      std::vector<std::string>& names = report->second.workloads;
      if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(name);
    }
  }
  if (!enforcer_) return reports;
  for (const PolicyCounts& counts : enforcer_->Counts()) {
    const auto report = reports.find({KindOf(counts.kind), counts.policy});
    if (report == reports.end()) continue;
    report->second.blocked += counts.counts.counts[SL_LSM_COUNT_BLOCKED];
    report->second.audited += counts.counts.counts[SL_LSM_COUNT_AUDITED];
    report->second.lost += counts.counts.counts[SL_LSM_COUNT_LOST];
  }
  return reports;
}

}  // namespace sluice::lsm
