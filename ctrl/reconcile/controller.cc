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

// One resource of an id: what the API holds wins over the directory.
ResourceMap Merge(const ResourceMap& directory, const ResourceMap& api) {
  ResourceMap all = api;
  all.insert(directory.begin(), directory.end());
  return all;
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

Controller::Controller(datapath::Datapath* datapath, Node node, Save save)
    : datapath_(datapath), node_(std::move(node)), save_(std::move(save)), view_(std::make_shared<View>()) {}

Status Controller::Restore(ResourceMap directory, StateStore::State state) {
  const std::lock_guard lock(mutex_);
  ids_ = std::move(state.endpoints);
  return Enforce({std::move(directory), std::move(state.resources)}, {.revision = state.revision});
}

Status Controller::SetDirectory(ResourceMap resources) {
  const std::lock_guard lock(mutex_);
  return Enforce({std::move(resources), desired_.api}, {.revision = view()->revision + 1});
}

StatusOr<std::uint64_t> Controller::Apply(const std::vector<policy::Resource>& resources) {
  const std::lock_guard lock(mutex_);
  Desired desired = desired_;
  for (const policy::Resource& resource : resources) desired.api[resource.id] = resource;
  SL_RETURN_IF_ERROR(Enforce(std::move(desired), {.puts = resources, .revision = view()->revision + 1}));
  return view()->revision;
}

StatusOr<std::uint64_t> Controller::Delete(const std::vector<ResourceId>& ids) {
  const std::lock_guard lock(mutex_);
  Desired desired = desired_;
  for (const ResourceId& id : ids) {
    if (desired.api.erase(id) != 0) continue;
    if (desired.directory.contains(id)) {
      return MakeError(absl::StatusCode::kFailedPrecondition,
                       "{} comes from the resources directory: remove it from its file there and send SIGHUP",
                       id.ToString());
    }
    return MakeError(absl::StatusCode::kNotFound, "{} does not exist", id.ToString());
  }
  SL_RETURN_IF_ERROR(Enforce(std::move(desired), {.deletes = ids, .revision = view()->revision + 1}));
  return view()->revision;
}

Status Controller::Refresh() {
  const std::lock_guard lock(mutex_);
  return Enforce(desired_, {.revision = view()->revision});
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
StatusOr<Controller::Plan> Controller::MakePlan(const Desired& desired, std::uint64_t revision,
                                                const std::vector<policy::Resource>& requested) const {
  std::set<ObjectName> asked_for;
  for (const policy::Resource& resource : requested) {
    if (resource.workload != nullptr) asked_for.insert(resource.id.name);
  }
  Plan plan{.view = std::make_shared<View>(), .ids = ids_, .interfaces = {}, .owners = {}};
  plan.view->revision = revision;
  plan.view->resources = Merge(desired.directory, desired.api);
  std::vector<workload::BoundWorkload> found;
  for (const auto& [id, resource] : plan.view->resources) {
    if (resource.workload == nullptr) continue;
    auto bound = node_.bind(*resource.workload);
    if (!bound.ok() && asked_for.contains(id.name)) return bound.status();
    if (bound.ok()) {
      found.push_back(*std::move(bound));
    } else {
      plan.view->unbound[id.name] = Message(bound.status());
    }
  }
  const auto intruders = FindIntruders(found);
  std::map<ObjectName, policy::Binding> bindings;
  for (workload::BoundWorkload& bound : found) {
    if (const auto intruder = intruders.find(bound.name); intruder != intruders.end()) {
      const auto& [holder, problem] = intruder->second;
      if (asked_for.contains(bound.name) || asked_for.contains(holder)) {
        return MakeError(absl::StatusCode::kFailedPrecondition, "{}", problem);
      }
      plan.view->unbound[bound.name] = problem;
      continue;
    }
    SL_ASSIGN_OR_RETURN(bound.binding.endpoint, plan.ids.Assign(bound.name));
    plan.interfaces.push_back({bound.binding.ifindex, bound.host_interface, bound.facts});
    plan.owners[bound.binding.ifindex] = bound.name;
    bindings[bound.name] = std::move(bound.binding);
  }
  std::vector<ObjectName> gone;
  for (const auto& [name, number] : plan.ids.all()) {
    if (!plan.view->resources.contains({policy::Kind::kWorkload, name})) gone.push_back(name);
  }
  for (const ObjectName& name : gone) plan.ids.Release(name);

  SL_ASSIGN_OR_RETURN(auto node_addresses, node_.addresses());
  SL_ASSIGN_OR_RETURN(auto snapshot,
                      policy::Snapshot::Build(plan.view->resources, bindings, std::move(node_addresses)));
  SL_ASSIGN_OR_RETURN(plan.view->compiled, policy::Compile(std::move(snapshot), datapath_->limits()));
  return plan;
}

// Plan first (pure but for looking at the node); then the kernel inside the transaction that saves the change, so that
// either both have it or none; then memory.
Status Controller::Enforce(Desired desired, StateChange change) {
  SL_ASSIGN_OR_RETURN(Plan plan, MakePlan(desired, change.revision, change.puts));
  AddEndpointChanges(ids_, plan.ids, &change);
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
  plan.owners.merge(StillOwned(plan));
  DetachAllBut(plan.owners);
  Remember(std::move(desired), std::move(plan));
  return OkStatus();
}

// Interfaces are closed before they are opened by the generation that knows them.
Status Controller::Carry(const Plan& plan, const StateChange& change) {
  for (const auto& [name, number] : change.new_endpoints) SL_RETURN_IF_ERROR(datapath_->ResetEndpoint(number));
  for (const datapath::PodInterface& interface : plan.interfaces) SL_RETURN_IF_ERROR(datapath_->AttachPod(interface));
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
    if (attached.program == "xdp_uplink" || plan.owners.contains(attached.ifindex)) continue;
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
  for (const datapath::PodInterface& interface : interfaces_) {
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
  ids_ = std::move(plan.ids);
  interfaces_ = std::move(plan.interfaces);
  owners_ = std::move(plan.owners);
  restored_ = true;
  const std::lock_guard lock(view_mutex_);
  if (decisions_.size() > kMaxKeptDecisions) decisions_.clear();
  for (const auto& [number, decision] : plan.view->compiled.decisions) {
    decisions_.try_emplace(number, std::make_shared<const policy::Decision>(decision));
  }
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
