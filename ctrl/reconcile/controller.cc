#include "ctrl/reconcile/controller.h"

#include <net/if.h>

#include <algorithm>
#include <set>

#include "ctrl/base/log.h"
#include "ctrl/net/netlink.h"
#include "policy/diff.h"

namespace sluice::reconcile {
namespace {

using policy::ObjectName;
using policy::ResourceId;
using policy::ResourceMap;

// Decisions of earlier generations kept for the flows that still name them.
constexpr std::size_t kMaxKeptDecisions = 1U << 18U;

StatusOr<std::vector<policy::Address>> NodeAddresses() {
  SL_ASSIGN_OR_RETURN(const auto infos, net::DumpAddresses());
  std::vector<policy::Address> addresses;
  for (const auto& info : infos) addresses.push_back(info.address);
  std::sort(addresses.begin(), addresses.end());
  addresses.erase(std::unique(addresses.begin(), addresses.end()), addresses.end());
  return addresses;
}

// The numbers that `to` has and `from` has not, or has otherwise; and the names that have none any more.
void AddEndpointChanges(const workload::EndpointIds& from, const workload::EndpointIds& to, StateChange* change) {
  for (const auto& [name, id] : to.all()) {
    if (from.Find(name) != id) change->new_endpoints.emplace_back(name, id);
  }
  for (const auto& [name, id] : from.all()) {
    if (to.Find(name) == 0) change->gone_endpoints.push_back(name);
  }
}

bool IsEmpty(const StateChange& change) {
  return change.puts.empty() && change.deletes.empty() && change.new_endpoints.empty() && change.gone_endpoints.empty();
}

bool HasInterface(std::uint32_t ifindex) {
  char name[IF_NAMESIZE];
  return if_indextoname(ifindex, name) != nullptr;
}

}  // namespace

Node Node::Real() { return {workload::Bind, NodeAddresses, HasInterface}; }

Controller::Desired::Desired(ResourceMap of_directory, ResourceMap of_api)
    : directory(std::move(of_directory)), api(std::move(of_api)), all(api) {
  all.Merge(directory);
}

void Controller::Desired::Put(const policy::Resource& resource) {
  api.insert_or_assign(resource.id, resource);
  all.insert_or_assign(resource.id, resource);
}

void Controller::Desired::Remove(const ResourceId& id) {
  api.erase(id);
  all.erase(id);
  if (const auto found = directory.find(id); found != directory.end()) all.insert_or_assign(id, found->second);
}

// One call of Apply or Delete.
struct Controller::Edit {
  std::vector<policy::Resource> puts;
  std::vector<ResourceId> deletes;
  StatusOr<std::uint64_t> revision = std::uint64_t{0};  // once it is made
  bool made = false;                                    // by edits_mutex_
};

Controller::Controller(datapath::Datapath* datapath, Node node, Save save)
    : datapath_(datapath), node_(std::move(node)), save_(std::move(save)), view_(std::make_shared<View>()) {}

Status Controller::Restore(ResourceMap directory, StateStore::State state) {
  const std::lock_guard lock(mutex_);
  ids_ = std::move(state.endpoints);
  {
    const std::lock_guard view_lock(view_mutex_);
    quarantined_ = std::move(state.quarantined);
  }
  return Enforce({std::move(directory), std::move(state.resources)}, {.revision = state.revision}, Look::kAgain);
}

Status Controller::SetDirectory(ResourceMap resources) {
  const std::lock_guard lock(mutex_);
  return Enforce({std::move(resources), desired_.api}, {.revision = view()->revision + 1}, Look::kAgain);
}

StatusOr<std::uint64_t> Controller::Apply(const std::vector<policy::Resource>& resources) {
  return Join({.puts = resources, .deletes = {}});
}

StatusOr<std::uint64_t> Controller::Delete(const std::vector<ResourceId>& ids) {
  return Join({.puts = {}, .deletes = ids});
}

// One of those that wait makes the edits of all of them, so that they share a compilation and the wait for running
// programs; who comes meanwhile waits for the next turn.
StatusOr<std::uint64_t> Controller::Join(Edit edit) {
  std::unique_lock lock(edits_mutex_);
  edits_.push_back(&edit);
  edits_made_.wait(lock, [&] { return edit.made || !making_edits_; });
  if (!edit.made) {
    const std::vector<Edit*> all = std::exchange(edits_, {});
    making_edits_ = true;
    lock.unlock();
    {
      const std::lock_guard change_lock(mutex_);
      EnforceEdits(all);
    }
    lock.lock();
    making_edits_ = false;
    for (Edit* const one : all) one->made = true;
    edits_made_.notify_all();
  }
  return edit.revision;
}

// Together; where that is refused, one after the other, so that each gets the answer that it would have got alone.
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
  StateChange change{.revision = view()->revision + 1};
  for (const auto& [id, resource] : last) {
    if (resource != nullptr) {
      change.puts.push_back(*resource);
    } else {
      change.deletes.push_back(id);
    }
  }
  const Status status = Enforce(std::move(desired), std::move(change), Look::kForNewWorkloads);
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

// All of the edit or, with an error, nothing of it.
Status Controller::AddTo(Desired& desired, const Edit& edit) const {
  for (const ResourceId& id : edit.deletes) {
    if (desired.api.contains(id)) continue;
    if (desired.directory.contains(id)) {
      return MakeError(absl::StatusCode::kFailedPrecondition,
                       "{} comes from the resources directory: remove it from its file there and send SIGHUP",
                       id.ToString());
    }
    return MakeError(absl::StatusCode::kNotFound, "{} does not exist", id.ToString());
  }
  for (const policy::Resource& resource : edit.puts) desired.Put(resource);
  for (const ResourceId& id : edit.deletes) desired.Remove(id);
  return OkStatus();
}

Status Controller::NotFound(const ObjectName& name) const {
  return MakeError(absl::StatusCode::kNotFound,
                   "Workload {}: there is none on this node; `sluice get workloads` lists them", name.ToString());
}

// Whether it was before. Under view_mutex_, so that the number is still the workload's: it gets another owner two views
// later at the earliest, and starts free then.
StatusOr<bool> Controller::CutOffAtOnce(const ObjectName& name) {
  const std::lock_guard lock(view_mutex_);
  const policy::Endpoint* endpoint = view_->compiled.snapshot ? view_->compiled.snapshot->FindByName(name) : nullptr;
  if (endpoint == nullptr || endpoint->endpoint == 0) return false;
  SL_ASSIGN_OR_RETURN(const datapath::QuarantineState before, datapath_->ReadQuarantine());
  SL_RETURN_IF_ERROR(datapath_->SetQuarantine(endpoint->endpoint, true));
  return before.endpoints.contains(endpoint->endpoint);
}

StatusOr<std::uint64_t> Controller::Quarantine(const ObjectName& name) {
  SL_ASSIGN_OR_RETURN(const bool was_cut_off, CutOffAtOnce(name));
  const std::lock_guard lock(mutex_);
  const std::uint64_t revision = view()->revision;
  if (!view()->resources.contains({policy::Kind::kWorkload, name})) return NotFound(name);
  if (quarantined_.contains(name)) return revision;
  const std::uint32_t number = ids_.Find(name);  // 0: not found on the node yet
  const Status status = save_({.quarantines = {name}, .revision = revision},
                              [&] { return number == 0 ? OkStatus() : datapath_->SetQuarantine(number, true); });
  if (!status.ok()) {
    if (number != 0 && !was_cut_off) {
      if (Status undone = datapath_->SetQuarantine(number, false); !undone.ok()) {
        LogError("Workload {} stays in quarantine though that was refused: {}", name.ToString(), Message(undone));
      }
    }
    return status;
  }
  LogInfo("Workload {} is in quarantine", name.ToString());
  const std::lock_guard view_lock(view_mutex_);
  quarantined_.insert(name);
  return revision;
}

StatusOr<std::uint64_t> Controller::Release(const ObjectName& name) {
  const std::lock_guard lock(mutex_);
  const std::uint64_t revision = view()->revision;
  const bool to_save = quarantined_.contains(name);
  if (!to_save && !view()->resources.contains({policy::Kind::kWorkload, name})) return NotFound(name);
  const std::uint32_t number = ids_.Find(name);
  const auto release = [&] { return number == 0 ? OkStatus() : datapath_->SetQuarantine(number, false); };
  if (Status status = to_save ? save_({.releases = {name}, .revision = revision}, release) : release(); !status.ok()) {
    if (to_save && number != 0) {
      if (Status undone = datapath_->SetQuarantine(number, true); !undone.ok()) {
        LogError("Workload {} may be free though its release was refused: {}", name.ToString(), Message(undone));
      }
    }
    return status;
  }
  LogInfo("Workload {} is released from quarantine", name.ToString());
  const std::lock_guard view_lock(view_mutex_);
  quarantined_.erase(name);
  return revision;
}

StatusOr<policy::Quarantine> Controller::quarantine() const {
  SL_ASSIGN_OR_RETURN(datapath::QuarantineState kernel, datapath_->ReadQuarantine());
  policy::Quarantine all{.workloads = {}, .allow = std::move(kernel.allow)};
  std::shared_ptr<const View> view;
  {
    const std::lock_guard lock(view_mutex_);
    all.workloads = quarantined_;
    view = view_;
  }
  if (!view->compiled.snapshot) return all;
  for (const policy::Endpoint& endpoint : view->compiled.snapshot->endpoints) {
    if (endpoint.endpoint != 0 && kernel.endpoints.contains(endpoint.endpoint)) all.workloads.insert(endpoint.name);
  }
  return all;
}

Status Controller::Refresh() {
  const std::lock_guard lock(mutex_);
  return Enforce(desired_, {.revision = view()->revision}, Look::kAgain);
}

// Whoever has an address keeps it: a pod that takes another one's is not enforced for it, and changes nothing for
// others. Who has the problem, and which.
std::map<ObjectName, Controller::Intruder> Controller::FindIntruders(
    const std::vector<workload::BoundWorkload>& bound) const {
  const auto before = view();
  std::map<policy::Address, ObjectName> holders;
  for (const bool had_it : {true, false}) {
    for (const workload::BoundWorkload& one : bound) {
      for (const policy::Address& ip : one.binding.ips) {
        const policy::Endpoint* was = before->compiled.snapshot ? before->compiled.snapshot->Find(ip) : nullptr;
        if (!had_it || (was != nullptr && was->ifindex != 0 && was->name == one.name))
          holders.try_emplace(ip, one.name);
      }
    }
  }
  std::map<ObjectName, Intruder> intruders;
  for (const workload::BoundWorkload& one : bound) {
    for (const policy::Address& ip : one.binding.ips) {
      const ObjectName& holder = holders.at(ip);
      if (holder == one.name) continue;
      intruders[one.name] = {holder, fmt::format("Workload {}: it has the address {} of Workload {}: give each its own",
                                                 one.name.ToString(), ip.ToString(), holder.ToString())};
    }
  }
  return intruders;
}

// Workloads whose namespace or interface is not there (yet) stay known and are not enforced on: no traffic can pass an
// interface that does not exist, and one that does stays closed (StillOwned). Only who asks for such a workload right
// now is told so.
StatusOr<std::shared_ptr<const Controller::Places>> Controller::FindPlaces(
    const ResourceMap& resources, const std::vector<policy::Resource>& requested) const {
  std::set<ObjectName> asked_for;
  for (const policy::Resource& resource : requested) {
    if (resource.workload != nullptr) asked_for.insert(resource.id.name);
  }
  auto places = std::make_shared<Places>();
  places->resources = resources;
  places->ids = ids_;
  std::vector<workload::BoundWorkload> found;
  for (const auto& [id, resource] : resources.of(policy::Kind::kWorkload)) {
    auto bound = node_.bind(*resource.workload);
    if (!bound.ok() && asked_for.contains(id.name)) return bound.status();
    places->process_owners.Add(*resource.workload, bound.ok() ? bound->netns : 0);
    if (bound.ok()) {
      found.push_back(*std::move(bound));
    } else {
      places->unbound[id.name] = Message(bound.status());
    }
  }
  const auto intruders = FindIntruders(found);
  for (workload::BoundWorkload& bound : found) {
    if (const auto intruder = intruders.find(bound.name); intruder != intruders.end()) {
      const auto& [holder, problem] = intruder->second;
      if (asked_for.contains(bound.name) || asked_for.contains(holder)) {
        return MakeError(absl::StatusCode::kFailedPrecondition, "{}", problem);
      }
      places->unbound[bound.name] = problem;
      continue;
    }
    SL_ASSIGN_OR_RETURN(bound.binding.endpoint, places->ids.Assign(bound.name));
    bound.facts.endpoint = bound.binding.endpoint;
    places->interfaces.push_back({bound.binding.ifindex, bound.host_interface, bound.facts, bound.takes_frames});
    places->owners[bound.binding.ifindex] = bound.name;
    places->bindings[bound.name] = std::move(bound.binding);
  }
  std::vector<ObjectName> gone;
  for (const auto& [name, number] : places->ids.all()) {
    if (!resources.contains({policy::Kind::kWorkload, name})) gone.push_back(name);
  }
  for (const ObjectName& name : gone) places->ids.Release(name);
  SL_ASSIGN_OR_RETURN(places->node_addresses, node_.addresses());
  return places;
}

// What is on the node is looked at when it may have changed (Refresh) or other workloads are asked for.
StatusOr<Controller::Plan> Controller::MakePlan(const Desired& desired, const StateChange& change, Look look) {
  Plan plan{.view = std::make_shared<View>(), .places = places_};
  const bool same_workloads = places_ && places_->resources.Shares(policy::Kind::kWorkload, desired.all);
  if (look == Look::kAgain || !same_workloads) {
    SL_ASSIGN_OR_RETURN(plan.places, FindPlaces(desired.all, change.puts));
  }
  View& view = *plan.view;
  view.revision = change.revision;
  view.resources = desired.all;
  view.unbound = plan.places->unbound;
  view.process_owners = plan.places->process_owners;
  SL_ASSIGN_OR_RETURN(auto snapshot,
                      policy::Snapshot::Build(view.resources, plan.places->bindings, plan.places->node_addresses,
                                              this->view()->compiled.snapshot.get()));
  SL_ASSIGN_OR_RETURN(view.compiled, compiler_.Compile(std::move(snapshot), datapath_->limits()));
  return plan;
}

// Plan first (pure but for looking at the node); then the kernel inside the transaction that saves the change, so that
// either both have it or none; then memory.
Status Controller::Enforce(Desired desired, StateChange change, Look look) {
  SL_ASSIGN_OR_RETURN(Plan plan, MakePlan(desired, change, look));
  AddEndpointChanges(ids_, plan.places->ids, &change);
  bool in_kernel = false;
  const auto enforce = [&] {
    Status carried = Carry(plan, change);
    in_kernel = carried.ok();
    return carried;
  };
  const bool to_save = !IsEmpty(change) || change.revision != view()->revision;
  if (Status status = restored_ && !to_save ? enforce() : save_(change, enforce); !status.ok()) {
    if (in_kernel && restored_) {
      // Not on disk: back to what is.
      if (Status undone = datapath_->Commit(view()->compiled.tables); !undone.ok()) {
        LogError("the kernel enforces a change that was refused, and the one before cannot be put back: {}",
                 Message(undone));
      }
    }
    if (restored_) PutBack();
    return status;
  }
  Owners owners = plan.places->owners;
  owners.merge(StillOwned(plan));
  DetachAllBut(owners);
  owners_ = std::move(owners);
  Remember(std::move(desired), std::move(plan));
  return OkStatus();
}

// Interfaces are closed before they are opened by the generation that knows them.
Status Controller::Carry(const Plan& plan, const StateChange& change) {
  for (const auto& [name, number] : change.new_endpoints) SL_RETURN_IF_ERROR(datapath_->ResetEndpoint(number));
  for (const ObjectName& name : quarantined_) {
    const std::uint32_t number = plan.places->ids.Find(name);
    if (number != 0) SL_RETURN_IF_ERROR(datapath_->SetQuarantine(number, true));
  }
  if (plan.places != places_) {
    for (const auto& interface : plan.places->interfaces) SL_RETURN_IF_ERROR(datapath_->AttachPod(interface));
  }
  const policy::Tables& tables = plan.view->compiled.tables;
  // A generation that changes nothing would only make every flow be decided again.
  if (restored_ && policy::Diff(view()->compiled.tables, tables).empty()) return OkStatus();
  return datapath_->Commit(tables);
}

// Interfaces of workloads that are wanted but cannot be found right now. They stay attached, and closed, because no
// generation knows their addresses: whoever is behind one must not get free by giving up its address.
Controller::Owners Controller::StillOwned(const Plan& plan) const {
  Owners owned;
  for (const auto& attached : datapath_->Attached()) {
    if (attached.program == "xdp_uplink" || plan.places->owners.contains(attached.ifindex)) continue;
    if (node_.has_interface && !node_.has_interface(attached.ifindex)) continue;
    const auto owner = owners_.find(attached.ifindex);
    const ObjectName name = owner == owners_.end() ? ObjectName() : owner->second;
    const auto& unbound = plan.view->unbound;
    if (name == ObjectName() ? !unbound.empty() : unbound.contains(name)) owned[attached.ifindex] = name;
  }
  return owned;
}

// After a refused change: the interfaces as they were.
void Controller::PutBack() {
  DetachAllBut(owners_);
  for (const datapath::PodInterface& interface : places_->interfaces) {
    if (Status status = datapath_->AttachPod(interface); !status.ok()) {
      LogWarn("{} after a refused change: {}", interface.name, Message(status));
    }
  }
}

void Controller::DetachAllBut(const Owners& owners) {
  std::set<std::uint32_t> detached;
  for (const auto& attached : datapath_->Attached()) {
    if (attached.program == "xdp_uplink" || owners.contains(attached.ifindex)) continue;
    if (!detached.insert(attached.ifindex).second) continue;
    if (Status status = datapath_->DetachPod(attached.ifindex); !status.ok()) {
      LogWarn("release {}: {}", attached.interface, Message(status));
    }
  }
}

void Controller::Remember(Desired desired, Plan plan) {
  for (const auto& [name, problem] : plan.view->unbound) {
    if (!view()->unbound.contains(name)) LogWarn("not enforced on: {}", problem);
  }
  desired_ = std::move(desired);
  ids_ = plan.places->ids;
  places_ = std::move(plan.places);
  restored_ = true;
  const std::lock_guard lock(view_mutex_);
  if (decisions_.size() > kMaxKeptDecisions) decisions_.clear();
  decisions_.insert(plan.view->compiled.decisions.begin(), plan.view->compiled.decisions.end());
  view_ = std::move(plan.view);
}

std::shared_ptr<const View> Controller::view() const {
  const std::lock_guard lock(view_mutex_);
  return view_;
}

std::shared_ptr<const policy::Decision> Controller::FindDecision(std::uint32_t number) const {
  const std::lock_guard lock(view_mutex_);
  const auto found = decisions_.find(number);
  return found == decisions_.end() ? nullptr : found->second;
}

}  // namespace sluice::reconcile
