#include "ctrl/reconcile/controller.h"

#include <algorithm>
#include <optional>
#include <set>

#include "base/log.h"
#include "policy/network/diff.h"

namespace sluice::reconcile {
namespace {

using policy::ObjectName;
using policy::ResourceId;
using policy::ResourceMap;

// Follows the reason for holding: what ends it.
constexpr const char* kUntilAsked = "; it ends when resources are applied or deleted, or with SIGHUP";

// Adds the numbers that are new or different in `to`, and the names that no longer have one.
void AddEndpointChanges(const node::EndpointIds& from, const node::EndpointIds& to, StateChange* change) {
  for (const auto& [name, id] : to.all()) {
    if (from.Find(name) != id) change->new_endpoints.emplace_back(name, id);
  }
  for (const auto& [name, id] : from.all()) {
    if (to.Find(name) == 0) change->gone_endpoints.push_back(name);
  }
}

bool IsEmpty(const StateChange& change) {
  return change.puts.empty() && change.deletes.empty() && change.new_endpoints.empty() &&
         change.gone_endpoints.empty() && change.quarantines.empty() && !change.refusals && !change.hook_settings;
}

std::string UnreadableNames(const std::map<ResourceId, std::string>& unreadable) {
  std::string names;
  for (const auto& [id, problem] : unreadable) names += (names.empty() ? "" : ", ") + id.ToString();
  return names;
}

}  // namespace

// From attaching a plan's interfaces until Own: CloseNewInterfaces does not touch these interfaces in the kernel.
class Controller::Attaching {
 public:
  Attaching(Controller* controller, const Plan& plan) : controller_(controller) { Set(&plan.node_view->owners); }
  ~Attaching() { Set(nullptr); }
  Attaching(const Attaching&) = delete;
  Attaching& operator=(const Attaching&) = delete;

 private:
  void Set(const Owners* owners) {
    const std::lock_guard lock(controller_->closing_mutex_);
    controller_->attaching_ = owners;
  }
  Controller* const controller_;
};

Controller::Controller(datapath::Enforcer* datapath, Node node, Save save, hooks::HookController* hooks,
                       lsm::LsmController* lsm)
    : datapath_(datapath),
      hooks_(hooks),
      lsm_(lsm),
      node_(std::move(node)),
      save_(save),
      planner_(datapath, &node_),
      quarantines_(datapath, std::move(save)),
      view_(std::make_shared<View>()) {}

// Why the agent holds until the first source that was not read is. Empty: all are read.
std::string Controller::UnreadSource() const {
  if (unread_.empty()) return "";
  const auto& [source, why] = *unread_.begin();
  return source == Source::kDirectory ? "the resources directory cannot be read: " + why + "; fix it and send SIGHUP"
                                      : "what Kubernetes has is not known yet: " + why + "; it ends with the answer";
}

Status Controller::Restore(Given given, StateStore::State state) {
  const std::lock_guard lock(mutex_);
  const bool is_first = state.empty();
  if (!given.directory.ok()) unread_[Source::kDirectory] = Message(given.directory.status());
  if (!given.kubernetes.ok()) unread_[Source::kKubernetes] = Message(given.kubernetes.status());
  const bool knows_nobody = state.resources.empty() && state.endpoints.all().empty();
  ids_ = std::move(state.endpoints);
  saved_ids_ = ids_;
  saved_revision_ = state.revision;
  released_before_ = std::move(state.released_interfaces);
  doubted_ = !state.doubt.empty();
  unreadable_ = std::move(state.unreadable);
  in_force_before_ = datapath_->EndpointsInForce();
  std::map<std::uint32_t, ObjectName> names;
  for (const auto& [name, number] : ids_.all()) names[number] = name;
  std::unique_lock closing_lock(closing_mutex_);
  for (const auto& [ifindex, number] : in_force_before_) {
    if (const auto name = names.find(number); name != names.end()) {
      owners_[ifindex] = name->second;
    } else {
      ids_.Reserve(number);
    }
  }
  closing_lock.unlock();
  quarantines_.Restore(std::move(state.quarantined));
  saved_refusals_ = std::move(state.refusals);
  hook_settings_ = state.hook_settings;
  saved_hook_settings_ = std::move(state.hook_settings);
  const bool pinned = datapath_->generation() > 0 || state.pinned;
  if (!unreadable_.empty()) {
    const auto& [id, problem] = *unreadable_.begin();
    other_holding_ = fmt::format(
        "{} saved resources cannot be read, the first is {}: {}; it ends when all of them are applied or deleted in "
        "one step: {}",
        unreadable_.size(), id.ToString(), problem, UnreadableNames(unreadable_));
  } else if (state.unknown || (pinned && !state.doubt.empty())) {
    other_holding_ = state.doubt + (state.can_save ? kUntilAsked : "");
  } else if (knows_nobody && !in_force_before_.empty()) {
    other_holding_ = fmt::format("nothing is saved, but the kernel enforces on {} workloads{}", in_force_before_.size(),
                                 kUntilAsked);
  } else if (knows_nobody && state.pinned && state.revision == 0 && !datapath_->Attached().empty()) {
    other_holding_ = fmt::format("nothing is saved, but an older version is attached{}", kUntilAsked);
  }
  holding_ = unread_.empty() ? other_holding_ : UnreadSource();
  const bool knows_workloads = !state.unknown && unread_.empty() &&
                               std::none_of(unreadable_.begin(), unreadable_.end(),
                                            [](const auto& row) { return row.first.kind == policy::Kind::kWorkload; });
  close_all_ = !knows_workloads && !pinned && !is_first;
  Desired desired(std::move(state.resources));
  if (given.directory.ok()) desired.Set(Source::kDirectory, *std::move(given.directory));
  if (given.kubernetes.ok()) desired.Set(Source::kKubernetes, *std::move(given.kubernetes));
  RestoreRefused(saved_refusals_, desired.all());
  return Follow(std::move(desired), {.revision = state.revision}, Look::kAgain);
}

Status Controller::SetDirectory(ResourceMap resources) {
  const std::lock_guard lock(mutex_);
  std::vector<policy::Resource> workloads;
  for (const auto& [id, resource] : resources.of(policy::Kind::kWorkload)) workloads.push_back(resource);
  Desired desired = desired_;
  desired.Set(Source::kDirectory, std::move(resources));
  if (unread_.erase(Source::kDirectory) != 0) {  // wanted even if this change is refused, as after a start
    desired_ = desired;
    other_holding_ = fmt::format("the resources directory could not be read at the start{}", kUntilAsked);
    holding_ = unread_.empty() ? other_holding_ : UnreadSource();
  }
  Await(desired.all(), desired_.all());
  if (!unread_.empty()) return Follow(std::move(desired), {.revision = view()->revision}, Look::kAgain);
  const bool is_change =
      !holding_.empty() || !desired.of(Source::kDirectory).HasSameDocuments(desired_.of(Source::kDirectory));
  const std::uint64_t revision = view()->revision + (is_change ? 1 : 0);
  Status status = Enforce(std::move(desired), {.revision = revision}, Look::kAgain, Saving::kMust);
  if (!status.ok()) Await(desired_.all());
  if (!status.ok()) CloseRefused(workloads, status);
  return status;
}

Status Controller::SetKubernetes(ResourceMap resources) {
  const std::lock_guard lock(mutex_);
  const bool is_first_answer = unread_.erase(Source::kKubernetes) != 0;
  const bool differs = !desired_.of(Source::kKubernetes).HasSameDocuments(resources);
  if (!is_first_answer && !differs) return OkStatus();
  Desired desired = desired_;
  desired.Set(Source::kKubernetes, std::move(resources));
  if (is_first_answer) {
    desired_ = desired;
    holding_ = unread_.empty() ? other_holding_ : UnreadSource();
  }
  Await(desired.all(), desired_.all());
  return Follow(std::move(desired), {.revision = view()->revision + (differs ? 1 : 0)}, Look::kForNewWorkloads);
}

StatusOr<std::uint64_t> Controller::Apply(const std::vector<policy::Resource>& resources) {
  return Make({.puts = resources, .deletes = {}});
}

StatusOr<std::uint64_t> Controller::Delete(const std::vector<ResourceId>& ids, Missing missing) {
  return Make({.puts = {}, .deletes = ids, .missing = missing});
}

StatusOr<std::uint64_t> Controller::Try(const std::vector<policy::Resource>& resources,
                                        const std::vector<ResourceId>& ids, Missing missing) {
  const std::lock_guard lock(mutex_);
  const StateChange change{.puts = resources, .deletes = ids, .revision = view()->revision};
  SL_RETURN_IF_ERROR(CheckUnreadable(change));
  Desired desired = desired_;
  SL_RETURN_IF_ERROR(AddTo(desired, {.puts = resources, .deletes = ids, .missing = missing}));
  const Planner before = planner_;
  Plan plan;
  Status planned = MakePlan(desired, change, Look::kForNewWorkloads, {}, &plan);
  planner_ = before;
  if (!planned.ok()) return planned;
  SL_RETURN_IF_ERROR(CheckHooks(plan, change));
  return change.revision;
}

StatusOr<std::uint64_t> Controller::Make(Edit edit) {
  return edits_.Join(std::move(edit), [this](const std::vector<Edit*>& all) {
    const std::lock_guard lock(mutex_);
    EnforceEdits(all);
  });
}

// All together; if that is refused, one by one, so that each call gets the answer that it would get alone.
void Controller::EnforceEdits(const std::vector<Edit*>& edits) {
  Desired desired = desired_;
  std::map<ResourceId, const policy::Resource*> last;  // null: deleted
  std::vector<Edit*> accepted;
  for (Edit* const edit : edits) {
    if (Status status = AddTo(desired, *edit); !status.ok()) {
      edit->revision = std::move(status);
      continue;
    }
    for (const policy::Resource& resource : edit->puts) last[resource.id] = &resource;
    for (const ResourceId& id : edit->deletes) last[id] = nullptr;
    accepted.push_back(edit);
  }
  if (accepted.empty()) return;
  StateChange change{.revision = view()->revision};
  for (const auto& [id, resource] : last) {
    if (resource != nullptr) {
      change.puts.push_back(*resource);
    } else {
      change.deletes.push_back(id);
    }
  }
  if (Differs(change)) change.revision++;
  const Status status = Enforce(std::move(desired), std::move(change), Look::kForNewWorkloads, Saving::kMust);
  if (!status.ok() && accepted.size() == 1) CloseRefused(accepted.front()->puts, status);
  if (status.ok() || accepted.size() == 1) {
    for (Edit* const edit : accepted) {
      if (status.ok()) {
        edit->revision = view()->revision;
      } else {
        edit->revision = status;
      }
    }
    return;
  }
  for (Edit* const edit : accepted) EnforceEdits({edit});
}

// Adds the whole edit or, with an error, nothing of it.
Status Controller::AddTo(Desired& desired, const Edit& edit) const {
  for (const ResourceId& id : edit.deletes) {
    if (desired.of(Source::kApi).contains(id) || unreadable_.contains(id)) continue;
    if (id.kind == policy::Kind::kWorkload && refused_.contains(id.name)) continue;
    if (const auto source = desired.SourceOf(id)) {
      return MakeError(absl::StatusCode::kFailedPrecondition, "{} comes from {}", id.ToString(),
                       *source == Source::kDirectory
                           ? "the resources directory: remove it from its file there and send SIGHUP"
                           : "Kubernetes: delete it there");
    }
    if (edit.missing == Missing::kIgnored) continue;
    return MakeError(absl::StatusCode::kNotFound, "{} does not exist", id.ToString());
  }
  for (const policy::Resource& resource : edit.puts) desired.Put(resource);
  for (const ResourceId& id : edit.deletes) desired.Remove(id);
  return OkStatus();
}

// Whether the change differs from what the API has. Even an equal one may enforce on interfaces that came to the node.
bool Controller::Differs(const StateChange& change) const {
  const auto is_new = [this](const policy::Resource& resource) {
    const auto old = desired_.of(Source::kApi).find(resource.id);
    return old == desired_.of(Source::kApi).end() || old->second.yaml != resource.yaml;
  };
  const auto is_there = [this](const ResourceId& id) {
    return desired_.of(Source::kApi).contains(id) || unreadable_.contains(id) ||
           (id.kind == policy::Kind::kWorkload && refused_.contains(id.name));
  };
  return !holding_.empty() || std::any_of(change.puts.begin(), change.puts.end(), is_new) ||
         std::any_of(change.deletes.begin(), change.deletes.end(), is_there);
}

Status Controller::NotFound(const ObjectName& name) const {
  return MakeError(absl::StatusCode::kNotFound,
                   "Workload {}: there is none on this node; `sluice get workloads` lists them", name.ToString());
}

Status Controller::Refresh(const net::NetChanges& heard) {
  const std::lock_guard lock(mutex_);
  std::erase_if(refused_, [this](const auto& refused) {
    const auto& ends = refused.second.ends;
    return node_.has_interface && std::none_of(ends.begin(), ends.end(), [this](const node::HostEnd& end) {
             return node_.has_interface(end.ifindex);
           });
  });
  SL_RETURN_IF_ERROR(
      Follow(desired_, {.revision = view()->revision}, heard.other ? Look::kAgain : Look::kForMissing, heard));
  if (!node_view_->failed.empty()) {
    const auto& [name, problem] = *node_view_->failed.begin();
    return MakeError(absl::StatusCode::kUnavailable,
                     "{} workloads cannot be looked up, and are enforced on as before; the first is {}: {}",
                     node_view_->failed.size(), name.ToString(), problem);
  }
  return unsaved_;
}

Status Controller::MakePlan(const Desired& desired, const StateChange& change, Look look, const net::NetChanges& heard,
                            Plan* plan) {
  Planner::Before before{view(), node_view_, numbers(), unattachable_, in_force_before_, heard};
  {
    const std::lock_guard lock(closing_mutex_);
    before.new_interfaces = interfaces_closed_;
  }
  return planner_.Make(desired, change, look, before, plan);
}

// After a change of the node or of Kubernetes, or a start: there is no call that could be refused.
Status Controller::Follow(Desired desired, StateChange change, Look look, const net::NetChanges& heard) {
  if (look == Look::kAgain) unattachable_.clear();  // tried again
  if (holding_.empty()) return Enforce(std::move(desired), std::move(change), look, Saving::kIfPossible, heard);
  Plan plan;
  Status planned = MakePlan(desired, change, Look::kAgain, heard, &plan);
  if (!planned.ok() && (!plan.node_view || plan.node_view == node_view_)) return planned;
  return Hold(std::move(desired), std::move(plan), holding_);
}

// Attaches to all interfaces of workloads, and releases none. The kernel's tables stay.
Status Controller::Hold(Desired desired, Plan plan, const std::string& why) {
  if (!plan.view->compiled.snapshot) {  // it could not be compiled
    SL_ASSIGN_OR_RETURN(plan.view->compiled, planner_.CompileNothing());
  }
  {
    const Attaching attaching(this, plan);
    Attach(plan.node_view->interfaces);
    AttachClosed(plan.node_view->closed);
  }
  Owners owners = plan.node_view->owners;
  {
    const std::lock_guard lock(closing_mutex_);
    for (const auto& [ifindex, owner] : owners_) owners.try_emplace(ifindex, owner);
  }
  for (const auto& attached : datapath_->Attached()) {
    if (attached.program != "xdp_uplink") owners.try_emplace(attached.ifindex, ObjectName());
  }
  Own(std::move(owners), plan);
  if (close_all_) CloseAll();
  if (view()->holding != why) LogError("holding: what the kernel has stays in force, the rest is closed: {}", why);
  plan.view->holding = why;
  const auto enforced = EnforcedInterfaces();
  for (const auto& [name, bound] : plan.node_view->found) {
    if (!enforced.contains(bound.binding.ifindex)) plan.view->held.insert(name);
  }
  Remember(std::move(desired), std::move(plan));
  return OkStatus();
}

Status Controller::CheckUnreadable(const StateChange& change) const {
  if (!unread_.empty()) return MakeError(absl::StatusCode::kFailedPrecondition, "holding: {}", holding_);
  for (const auto& [id, problem] : unreadable_) {
    const bool is_replaced = std::any_of(change.puts.begin(), change.puts.end(),
                                         [&id = id](const auto& resource) { return resource.id == id; }) ||
                             std::find(change.deletes.begin(), change.deletes.end(), id) != change.deletes.end();
    if (is_replaced) continue;
    return MakeError(absl::StatusCode::kFailedPrecondition,
                     "holding: {} was saved and cannot be read ({}): apply or delete, in one step, all of: {}",
                     id.ToString(), problem, UnreadableNames(unreadable_));
  }
  return OkStatus();
}

// Plan first (it only reads the node); then the kernel, inside the transaction that saves the change, so that both have
// it or neither; then memory.
Status Controller::Enforce(Desired desired, StateChange change, Look look, Saving saving,
                           const net::NetChanges& heard) {
  const bool must_save = saving == Saving::kMust;
  if (must_save) SL_RETURN_IF_ERROR(CheckUnreadable(change));
  Plan plan;
  if (Status planned = MakePlan(desired, change, look, heard, &plan); !planned.ok()) {
    // At a start there is nothing to go back to.
    const bool is_start = !restored_ && !must_save && plan.node_view;
    return is_start ? Hold(std::move(desired), std::move(plan), Message(planned)) : planned;
  }
  if (must_save) SL_RETURN_IF_ERROR(CheckHooks(plan, change));
  if (!restored_ && !plan.node_view->failed.empty() && datapath_->generation() > 0) {
    const std::string why = fmt::format("{} workloads cannot be looked up, the first: {}",
                                        plan.node_view->failed.size(), plan.node_view->failed.begin()->second);
    if (must_save) return MakeError(absl::StatusCode::kUnavailable, "holding: {}", why);
    return Hold(std::move(desired), std::move(plan), why);
  }
  const auto all_attached = datapath_->Attached();
  Owners owners = plan.node_view->owners;
  owners.merge(StillOwned(plan, change));
  AddEndpointChanges(saved_ids_, plan.node_view->ids, &change);
  change.quarantines = quarantines_.unsaved();
  Refusals refusals = RefusalsAfter(change, *plan.node_view);
  if (refusals != saved_refusals_) change.refusals = refusals;
  hooks::HookSettings hook_settings = HookSettingsAfter(plan.view->resources);
  if (hook_settings != saved_hook_settings_) change.hook_settings = hook_settings;
  for (const auto& attached : all_attached) {
    if (attached.program != "xdp_uplink" && !owners.contains(attached.ifindex))
      change.released_interfaces.push_back(attached.ifindex);
  }
  std::optional<Status> carried;
  const std::size_t unattachable = unattachable_.size();
  std::optional<Attaching> attaching;
  const auto enforce = [&] {
    attaching.emplace(this, plan);
    return *(carried = Carry(plan, change, saving));
  };
  change.ends_doubt = doubted_;
  const bool to_save = !IsEmpty(change) || (must_save && change.revision != saved_revision_) || doubted_;
  Status saved = to_save ? save_(change, enforce) : enforce();
  Status status = saved;
  if (!saved.ok() && !must_save && (!carried || carried->ok())) {
    // Only the disk failed: enforce without saving.
    status = carried ? *carried : enforce();
  }
  // Workloads that no program can be attached to must not delay the others.
  if (!status.ok() && unattachable_.size() > unattachable) {
    return Enforce(std::move(desired), {.revision = change.revision}, Look::kAgain, saving);
  }
  if (!status.ok()) {
    {  // what was closed for this change stays so (CloseRefused)
      const std::lock_guard lock(closing_mutex_);
      owners_.insert(plan.node_view->owners.begin(), plan.node_view->owners.end());
    }
    if (carried && carried->ok() && restored_) {
      // The change is not on disk: back to the generation that is.
      if (Status undone = datapath_->Commit(view()->compiled.tables); !undone.ok()) {
        LogError("the kernel enforces a refused change, and the generation before cannot be restored: {}",
                 Message(undone));
      }
    }
    PutBackHooks();
    if (restored_) PutBack();
    return restored_ || must_save ? status : Hold(std::move(desired), std::move(plan), Message(status));
  }
  if (saved.ok()) {
    saved_ids_ = plan.node_view->ids;
    saved_revision_ = change.revision;
    saved_refusals_ = std::move(refusals);
    saved_hook_settings_ = hook_settings;
    quarantines_.NoteSaved();
    doubted_ = false;
  }
  hook_settings_ = std::move(hook_settings);
  unsaved_ = std::move(saved);
  ForgetRefused(change, *plan.node_view);
  if (!restored_) TellNobodys(owners);
  close_all_ = false;
  Own(std::move(owners), plan);
  DetachAllButOwned();
  holding_.clear();
  unreadable_.clear();
  in_force_before_.clear();
  released_before_.clear();
  ids_ = plan.node_view->ids;
  restored_ = true;
  Remember(std::move(desired), std::move(plan));
  return OkStatus();
}

// Interfaces are closed first; the generation that knows them opens them.
Status Controller::Carry(const Plan& plan, const StateChange& change, Saving saving) {
  for (const auto& [name, number] : plan.node_view->ids.all()) {
    if (ids_.Find(name) == number) continue;
    const auto binding = plan.node_view->bindings.find(name);
    const auto before = binding == plan.node_view->bindings.end() ? in_force_before_.end()
                                                                  : in_force_before_.find(binding->second.ifindex);
    if (before != in_force_before_.end() && before->second == number) continue;  // the same endpoint continues
    SL_RETURN_IF_ERROR(datapath_->ResetEndpoint(number));
  }
  SL_RETURN_IF_ERROR(quarantines_.Enforce(plan.node_view->ids));
  // Before a workload is attached, which its start waits for.
  if (hooks_ != nullptr) SL_RETURN_IF_ERROR(hooks_->Enforce(HooksOf(plan, change, saving)));
  if (lsm_ != nullptr) SL_RETURN_IF_ERROR(lsm_->Enforce(HooksOf(plan, change, saving)));
  const policy::Tables& tables = plan.view->compiled.tables;
  // The pods of a node that nothing was enforced on may be at work: they lose no packet when the tables come first.
  const bool is_first = !restored_ && in_force_before_.empty();
  if (is_first) SL_RETURN_IF_ERROR(datapath_->Commit(tables));
  if (plan.node_view != node_view_ || !restored_) {
    AttachClosed(plan.node_view->closed);
    if (plan.looked_again || !restored_ || plan.node_view->namespaces != node_view_->namespaces) {
      if (const Status set = datapath_->SetNamespaces(plan.node_view->namespaces); !set.ok())
        LogWarn("set what depends on the workloads' network namespaces: {}", Message(set));
    }
    SL_RETURN_IF_ERROR(AttachPods(plan, saving));
  }
  if (is_first) return OkStatus();
  // A generation without changes would only make every flow be evaluated again.
  if (restored_ && policy::Diff(view()->compiled.tables, tables).empty()) return OkStatus();
  SL_RETURN_IF_ERROR(datapath_->Commit(tables));
  AttachClosed(plan.node_view->closed);  // also those that the generation before enforced on
  return OkStatus();
}

// After a look at all of them, all interfaces; else those that are not described as before. What follows the node or
// Kubernetes is what a pod's start waits for.
Status Controller::AttachPods(const Plan& plan, Saving saving) {
  std::map<std::uint32_t, const datapath::PodInterface*> before;
  if (restored_ && !plan.looked_again) {
    for (const auto& interface : node_view_->interfaces) before[interface.ifindex] = &interface;
  }
  Status attached = OkStatus();
  for (const auto& interface : plan.node_view->interfaces) {
    const auto known = before.find(interface.ifindex);
    if (known != before.end() && *known->second == interface && !attach_again_.contains(interface.ifindex)) continue;
    attach_again_.erase(interface.ifindex);
    Status status = saving == Saving::kMust ? datapath_->AttachPod(interface) : datapath_->AttachPodAtOnce(interface);
    if (status.ok()) continue;
    if (saving == Saving::kMust) return status;
    attach_again_.insert(interface.ifindex);
    const bool is_gone = node_.has_interface && !node_.has_interface(interface.ifindex);
    if (is_gone) {  // since the look: no packet can pass, and the next look finds it missing
      if (const Status forgotten = datapath_->DetachPod(interface.ifindex); !forgotten.ok())
        LogWarn("release {}, which is gone: {}", interface.name, Message(forgotten));
      continue;
    }
    if (EnforcedInterfaces().contains(interface.ifindex)) {  // it stays, with the facts that the kernel has
      LogWarn("{}: {}", interface.name, Message(status));
      continue;
    }
    unattachable_[plan.node_view->owners.at(interface.ifindex)] = Message(status);
    attached.Update(status);
  }
  return attached;
}

void Controller::Remember(Desired desired, Plan plan) {
  AddRefused(*plan.view);
  AddNobodys(*plan.view);
  for (const auto& [name, problem] : plan.view->unbound) {
    const bool is_open = plan.node_view->open.contains(name);
    if (view()->unbound.contains(name) && is_open == (node_view_ && node_view_->open.contains(name))) continue;
    if (is_open) {
      LogError("not enforced on: {}", problem);
    } else {
      LogWarn("closed, and not enforced on: {}", problem);
    }
  }
  desired_ = std::move(desired);
  node_view_ = std::move(plan.node_view);
  decisions_.Add(plan.view->compiled);
  {
    const std::lock_guard lock(view_mutex_);
    view_ = std::move(plan.view);
  }
  if (follower_) follower_(*view());
}

void Controller::FollowViews(std::function<void(const View&)> follower) {
  const std::lock_guard lock(mutex_);
  follower_ = std::move(follower);
  if (follower_) follower_(*view());
}

std::shared_ptr<const View> Controller::view() const {
  const std::lock_guard lock(view_mutex_);
  return view_;
}

}  // namespace sluice::reconcile
