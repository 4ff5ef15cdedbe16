// Interfaces whose workload is not enforced on: our programs are attached, know no endpoint there and drop everything.
#include "ctrl/reconcile/controller.h"

#include <algorithm>
#include <set>
#include <thread>

#include "base/log.h"

namespace sluice::reconcile {

using policy::ObjectName;
using policy::ResourceId;
using policy::ResourceMap;

namespace {

bool Names(const StateChange& change, const ObjectName& workload) {
  const ResourceId id{policy::Kind::kWorkload, workload};
  return std::find(change.deletes.begin(), change.deletes.end(), id) != change.deletes.end() ||
         std::any_of(change.puts.begin(), change.puts.end(), [&](const auto& resource) { return resource.id == id; });
}

// Null: no workload has this name.
std::shared_ptr<const policy::Workload> FindWorkload(const ResourceMap& resources, const ObjectName& name) {
  const auto found = resources.find({policy::Kind::kWorkload, name});
  return found == resources.end() ? nullptr : (*found).second.workload;
}

bool IsAtSamePlace(const policy::Workload& a, const policy::Workload& b) {
  return a.netns == b.netns && a.interface == b.interface && a.host_interface == b.host_interface;
}

}  // namespace

// DetachAllButOwned, which may take the lock many times, lets threads that wait here go first.
std::unique_lock<std::mutex> Controller::LockClosing() {
  closing_waits_++;
  std::unique_lock lock(closing_mutex_);
  closing_waits_--;
  return lock;
}

int Controller::CloseNewInterfaces() {
  Awaited awaited;
  {
    const auto lock = LockClosing();
    awaited = awaited_;
  }
  if (!awaited.node_view) return 0;
  std::vector<const policy::Workload*> missing;
  for (const auto& [id, resource] : awaited.wanted.of(policy::Kind::kWorkload)) {
    const auto binding = awaited.node_view->bindings.find(id.name);
    const bool is_there = binding != awaited.node_view->bindings.end() && binding->second.ifindex != 0 &&
                          (!node_.has_interface || node_.has_interface(binding->second.ifindex));
    if (!is_there) missing.push_back(resource.workload.get());
  }
  int closed = 0;
  if (!missing.empty() && node_.host_ends) {
    for (const auto& [name, ends] : node_.host_ends(missing)) {
      if (!ends.ok()) continue;  // Refresh reports it and tries again
      for (const node::HostEnd& end : *ends) closed += CloseNewInterface(end, name) ? 1 : 0;
    }
  }
  return awaited.all ? closed + CloseAll() : closed;
}

// Checks again, with the lock: a running change may know the interface by now, or the workload is no longer wanted.
bool Controller::CloseNewInterface(const node::HostEnd& end, const ObjectName& name) {
  const auto lock = LockClosing();
  if (FindWorkload(awaited_.wanted, name) == nullptr) return false;
  if (!owners_.try_emplace(end.ifindex, name).second) return false;
  new_interfaces_[end.ifindex] = {name, ++interfaces_closed_};
  if (attaching_ == nullptr || !attaching_->contains(end.ifindex)) AttachClosed({ClosedInterface(end)});
  return true;
}

void Controller::Await(const ResourceMap& wanted, const ResourceMap& more) {
  const std::lock_guard lock(closing_mutex_);
  awaited_.wanted = wanted;
  awaited_.wanted.Merge(more);
}

// Adds those that came after the look at the node that `node_view` is from. Needs closing_mutex_ held.
void Controller::AddNewInterfaces(const NodeView& node_view, Owners* owners) const {
  for (const auto& [ifindex, new_interface] : new_interfaces_) {
    if (new_interface.number > node_view.looked_at && FindWorkload(node_view.resources, new_interface.name) != nullptr)
      owners->try_emplace(ifindex, new_interface.name);
  }
}

// Takes over a plan's owners, with the interfaces that came meanwhile.
void Controller::Own(Owners owners, const Plan& plan) {
  const std::lock_guard lock(closing_mutex_);
  AddNewInterfaces(*plan.node_view, &owners);
  owners_ = std::move(owners);
  std::erase_if(new_interfaces_, [&](const auto& one) {
    return one.second.number <= plan.node_view->looked_at || !owners_.contains(one.first);
  });
  awaited_ = {plan.view->resources, plan.node_view, close_all_};
  if (!close_all_) closed_all_.clear();
}

// The workloads are not known, so any interface may belong to one.
int Controller::CloseAll() {
  if (!node_.all_host_ends) return 0;
  const auto ends = node_.all_host_ends();
  if (!ends.ok()) {
    LogError("close all pods: {}", Message(ends.status()));
    return 0;
  }
  int closed = 0;
  for (const node::HostEnd& end : *ends) {
    const auto lock = LockClosing();
    if (!awaited_.all) break;  // a change has ended it
    if (!owners_.try_emplace(end.ifindex, ObjectName()).second) continue;
    AttachClosed({ClosedInterface(end)});
    closed_all_.insert(end.ifindex);
    ++closed;
  }
  return closed;
}

std::set<std::uint32_t> Controller::EnforcedInterfaces() const {
  std::map<std::uint32_t, int> programs;
  for (const auto& one : datapath_->Attached()) programs[one.ifindex] += one.program != "xdp_uplink";
  std::set<std::uint32_t> enforced;
  for (const auto& [ifindex, number] : datapath_->EndpointsInForce()) {
    if (const auto there = programs.find(ifindex); there != programs.end() && there->second == 2)
      enforced.insert(ifindex);
  }
  return enforced;
}

// Skips interfaces that the kernel enforces on: it has more facts about them than are known here.
void Controller::AttachClosed(std::vector<datapath::PodInterface> interfaces) const {
  if (interfaces.empty()) return;
  const auto enforced = EnforcedInterfaces();
  std::erase_if(interfaces, [&](const datapath::PodInterface& one) { return enforced.contains(one.ifindex); });
  Attach(interfaces);
}

// One that cannot be closed must not keep the others open.
void Controller::Attach(const std::vector<datapath::PodInterface>& interfaces) const {
  for (const datapath::PodInterface& interface : interfaces) {
    if (Status status = datapath_->AttachPodAtOnce(interface); !status.ok()) {
      LogError("{} belongs to a workload and cannot be closed: {}", interface.name, Message(status));
    }
  }
}

// A refused workload must not be left open.
void Controller::CloseRefused(const std::vector<policy::Resource>& resources, const Status& why) {
  if (!node_.host_ends) return;
  std::vector<const policy::Workload*> wanted;
  for (const policy::Resource& resource : resources) {
    if (resource.workload == nullptr) continue;
    const bool is_bound = node_view_ && node_view_->found.contains(resource.id.name);
    if (is_bound && IsAtSamePlace(*FindWorkload(node_view_->resources, resource.id.name), *resource.workload)) continue;
    wanted.push_back(resource.workload.get());
  }
  if (wanted.empty()) return;
  bool is_new = false;
  for (const auto& [name, ends] : node_.host_ends(wanted)) {
    if (!ends.ok()) {
      LogError("NOT closed, and not enforced on: Workload {}: {}", name.ToString(), Message(ends.status()));
      continue;
    }
    std::vector<node::HostEnd> own;
    const std::lock_guard closing_lock(closing_mutex_);
    for (const node::HostEnd& end : *ends) {
      if (node_view_ && node_view_->owners.contains(end.ifindex)) continue;
      ObjectName& owner = owners_.try_emplace(end.ifindex, name).first->second;
      if (owner == ObjectName()) owner = name;
      if (owner == name) own.push_back(end);
    }
    for (const node::HostEnd& end : own) AttachClosed({ClosedInterface(end)});
    auto instead = FindWorkload(desired_.all(), name);
    if (!own.empty() && (instead == nullptr || node_view_->found.contains(name))) {
      LogWarn("closed, and not enforced on: Workload {}: {}", name.ToString(), Message(why));
      refused_[name] = {std::move(own), Message(why), std::move(instead)};
      is_new = true;
    }
  }
  if (!is_new) return;
  SaveRefused();
  auto view = std::make_shared<View>(*this->view());
  AddRefused(*view);
  AddNobodys(*view);
  const std::lock_guard lock(view_mutex_);
  view_ = std::move(view);
}

// Whether it is still refused after `change`; `resources` are those wanted then.
bool Controller::IsRefused(const ObjectName& name, const StateChange& change, const ResourceMap& resources) const {
  const auto refused = refused_.find(name);
  return refused != refused_.end() && !Names(change, name) && FindWorkload(resources, name) == refused->second.instead;
}

// Whether it is still refused, and one of its interfaces is not owned in `node_view`.
bool Controller::IsRefusedAfter(const ObjectName& name, const StateChange& change, const NodeView& node_view) const {
  if (!IsRefused(name, change, node_view.resources)) return false;
  const auto& ends = refused_.at(name).ends;
  return std::any_of(ends.begin(), ends.end(),
                     [&](const node::HostEnd& end) { return !node_view.owners.contains(end.ifindex); });
}

void Controller::ForgetRefused(const StateChange& change, const NodeView& node_view) {
  std::erase_if(refused_, [&](const auto& refused) { return !IsRefusedAfter(refused.first, change, node_view); });
}

void Controller::AddRefused(View& view) const {
  for (const auto& [name, refused] : refused_) view.unbound.try_emplace(name, "refused: " + refused.problem);
}

// Takes over what an earlier agent refused, as far as our programs are still attached there.
void Controller::RestoreRefused(const Refusals& refusals, const ResourceMap& resources) {
  const std::lock_guard lock(closing_mutex_);
  for (const auto& attached : datapath_->Attached()) {
    for (const auto& [name, refusal] : refusals) {
      if (attached.program == "xdp_uplink" || !refusal.interfaces.contains(attached.ifindex)) continue;
      if (!owners_.try_emplace(attached.ifindex, name).second) continue;
      Refused& refused = refused_[name];
      refused.ends.push_back({attached.ifindex, attached.interface});
      refused.problem = refusal.problem;
      refused.instead = FindWorkload(resources, name);
    }
  }
}

Refusals Controller::RefusalsAfter(const StateChange& change, const NodeView& node_view) const {
  Refusals refusals;
  for (const auto& [name, refused] : refused_) {
    if (!IsRefusedAfter(name, change, node_view)) continue;
    Refusal& refusal = refusals[name];
    refusal.problem = refused.problem;
    for (const node::HostEnd& end : refused.ends) refusal.interfaces.insert(end.ifindex);
  }
  return refusals;
}

// If this fails, the interfaces stay closed after a restart too, but their workloads are not known then.
void Controller::SaveRefused() {
  StateChange change{.revision = saved_revision_};
  change.released_interfaces.assign(released_before_.begin(), released_before_.end());
  NodeView node_view = node_view_ ? *node_view_ : NodeView();
  node_view.resources = desired_.all();
  change.refusals = RefusalsAfter({}, node_view);
  const Status saved = save_(change, OkStatus);
  if (saved.ok()) saved_refusals_ = *std::move(change.refusals);
  if (!saved.ok()) LogWarn("after a restart the names of closed workloads will not be known: {}", Message(saved));
}

void Controller::AddNobodys(View& view) const {
  view.closed.clear();
  const auto in_force = datapath_->EndpointsInForce();
  const std::lock_guard lock(closing_mutex_);
  for (const auto& [ifindex, name] : owners_) {
    if (name != ObjectName() || in_force.contains(ifindex)) continue;
    view.closed[ifindex] = closed_all_.contains(ifindex)
                               ? "the workloads of this node are not known"
                               : "closed by an earlier agent for an unknown Workload: apply that Workload, or apply "
                                 "and delete it";
  }
}

// Interfaces of wanted workloads that cannot be found right now. They stay attached, and closed because no generation
// knows their addresses: a pod must not get free by giving up its address. So do interfaces whose workload is unknown
// (the state was lost, or an agent ended in the middle of a change), until the last workload that they may belong to is
// deleted.
Owners Controller::StillOwned(const Plan& plan, const StateChange& change) const {
  const auto& unbound = plan.view->unbound;
  const auto before = view();
  const bool last_missing_is_deleted =
      unbound.empty() && std::any_of(before->unbound.begin(), before->unbound.end(), [&](const auto& one) {
        return before->resources.contains({policy::Kind::kWorkload, one.first}) &&
               !plan.view->resources.contains({policy::Kind::kWorkload, one.first});
      });
  Owners owned;
  const std::lock_guard lock(closing_mutex_);
  AddNewInterfaces(*plan.node_view, &owned);
  for (const auto& attached : datapath_->Attached()) {
    if (attached.program == "xdp_uplink" || plan.node_view->owners.contains(attached.ifindex)) continue;
    if (node_.has_interface && !node_.has_interface(attached.ifindex)) continue;
    const auto owner = owners_.find(attached.ifindex);
    const ObjectName name = owner == owners_.end() ? ObjectName() : owner->second;
    const bool is_refused = IsRefused(name, change, plan.view->resources);
    const bool is_let_go = released_before_.contains(attached.ifindex) || closed_all_.contains(attached.ifindex);
    if (name == ObjectName() ? !is_let_go && !last_missing_is_deleted : is_refused || unbound.contains(name))
      owned[attached.ifindex] = name;
  }
  return owned;
}

void Controller::TellNobodys(const Owners& owners) {
  for (const auto& [ifindex, name] : owners) {
    if (name != ObjectName()) continue;
    LogWarn(
        "interface {} was closed by an earlier agent for an unknown Workload and stays closed: apply that Workload, or "
        "apply and delete it",
        ifindex);
  }
}

// Restores the interfaces after a refused change.
void Controller::PutBack() {
  DetachAllButOwned();
  for (const datapath::PodInterface& interface : node_view_->interfaces) {
    if (Status status = datapath_->AttachPod(interface); !status.ok()) {
      LogWarn("restore {} after a refused change: {}", interface.name, Message(status));
    }
  }
}

// Locks for one interface at a time: each takes tens of milliseconds, and closing must not wait for all of them.
void Controller::DetachAllButOwned() {
  std::set<std::uint32_t> seen;
  for (const auto& attached : datapath_->Attached()) {
    if (attached.program == "xdp_uplink" || !seen.insert(attached.ifindex).second) continue;
    while (closing_waits_ > 0) std::this_thread::yield();
    const std::lock_guard lock(closing_mutex_);
    if (owners_.contains(attached.ifindex)) continue;
    if (Status status = datapath_->DetachPod(attached.ifindex); !status.ok()) {
      LogWarn("release {}: {}", attached.interface, Message(status));
    }
  }
}

}  // namespace sluice::reconcile
