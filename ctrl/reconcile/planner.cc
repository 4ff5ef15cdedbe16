#include "ctrl/reconcile/planner.h"

#include <algorithm>
#include <set>
#include <utility>

namespace sluice::reconcile {
namespace {

using policy::ObjectName;
using policy::ResourceMap;

struct AddressConflict {
  ObjectName holder;
  std::string problem;
};

// One look at the node.
class PlaceFinder {
 public:
  PlaceFinder(const Node& node, const Planner::Before& before, Look look) : node_(node), before_(before), look_(look) {}

  StatusOr<std::shared_ptr<const NodeView>> Find(const ResourceMap& resources,
                                                 const std::vector<policy::Resource>& requested) const;

 private:
  std::map<ObjectName, AddressConflict> FindConflicts(const std::vector<node::BoundWorkload>& bound,
                                                      const NodeView& node_view) const;
  StatusOr<std::vector<node::BoundWorkload>> LookUp(const std::set<ObjectName>& asked_for, NodeView& node_view) const;
  bool IsThere(const node::BoundWorkload& bound) const {
    return !node_.has_interface || node_.has_interface(bound.binding.ifindex);
  }
  // The path may lead to another namespace by now, while the veth of the old one is still there.
  bool IsWhereItWas(const node::BoundWorkload& bound) const {
    return !node_.is_namespace || bound.netns_path.empty() || node_.is_namespace(bound.netns_path, bound.netns);
  }
  bool IsHeardOf(const node::BoundWorkload& bound) const {
    return before_.heard.veths.contains(bound.binding.ifindex) || before_.heard.namespaces.contains(bound.facts.netns);
  }
  const policy::Workload* SpecBefore(const ObjectName& name) const;
  const node::BoundWorkload* FoundBefore(const ObjectName& name) const;
  bool StaysAsFound(const policy::Workload& workload) const;
  Status Number(const node::BoundWorkload& bound, NodeView& node_view) const;
  void AddClosed(NodeView& node_view) const;

  const Node& node_;
  const Planner::Before& before_;
  const Look look_;
};

// Null: there was none.
const policy::Workload* PlaceFinder::SpecBefore(const ObjectName& name) const {
  if (!before_.node_view) return nullptr;
  const auto spec = before_.node_view->resources.find({policy::Kind::kWorkload, name});
  return spec == before_.node_view->resources.end() ? nullptr : spec->second.workload.get();
}

// Null: it was not, or was refused.
const node::BoundWorkload* PlaceFinder::FoundBefore(const ObjectName& name) const {
  if (!before_.node_view) return nullptr;
  const auto found = before_.node_view->found.find(name);
  return found == before_.node_view->found.end() ? nullptr : &found->second;
}

// Whether the last look at the workload counts. What changes about an interface since then, the monitor of the node
// tells.
bool PlaceFinder::StaysAsFound(const policy::Workload& workload) const {
  if (look_ == Look::kAgain) return false;
  const node::BoundWorkload* const found = FoundBefore(workload.name);
  const policy::Workload* const spec = SpecBefore(workload.name);
  if (found != nullptr && IsHeardOf(*found)) return false;
  return found != nullptr && spec != nullptr && spec->netns == workload.netns &&
         spec->interface == workload.interface && spec->host_interface == workload.host_interface &&
         spec->ips == workload.ips && !before_.node_view->failed.contains(workload.name) && IsThere(*found) &&
         IsWhereItWas(*found);
}

// The first owner of an address keeps it: a pod that takes another workload's address is not enforced on, and changes
// nothing for others. Workloads on the node come before those that only have addresses in their spec. Returns the
// workloads with a conflict.
std::map<ObjectName, AddressConflict> PlaceFinder::FindConflicts(const std::vector<node::BoundWorkload>& bound,
                                                                 const NodeView& node_view) const {
  std::vector<std::pair<ObjectName, const std::vector<policy::Address>*>> claims;
  const auto& before = before_.view;
  for (const bool had_it : {true, false}) {
    for (const node::BoundWorkload& one : bound) {
      const policy::Endpoint* was =
          before->compiled.snapshot ? before->compiled.snapshot->FindByName(one.name) : nullptr;
      const bool has_it = was != nullptr && was->ifindex != 0;
      if (has_it == had_it) claims.emplace_back(one.name, &one.binding.ips);
    }
  }
  for (const auto& [name, problem] : node_view.unbound) {
    claims.emplace_back(name, &node_view.resources.at({policy::Kind::kWorkload, name}).workload->ips);
  }
  std::map<policy::Address, ObjectName> holders;
  // A workload keeps each address that it had before, also if it has others now.
  for (const auto& [name, ips] : claims) {
    if (node_view.unbound.contains(name)) continue;
    for (const policy::Address& ip : *ips) {
      const policy::Endpoint* was = before->compiled.snapshot ? before->compiled.snapshot->Find(ip) : nullptr;
      if (was != nullptr && was->ifindex != 0 && was->name == name) holders.try_emplace(ip, name);
    }
  }
  std::map<ObjectName, AddressConflict> conflicts;
  for (const auto& [name, ips] : claims) {
    for (const policy::Address& ip : *ips) {
      const ObjectName& holder = holders.try_emplace(ip, name).first->second;
      if (holder == name) continue;
      conflicts[name] = {holder, fmt::format("Workload {}: it has the address {} of Workload {}: give each its own",
                                             name.ToString(), ip.ToString(), holder.ToString())};
    }
  }
  return conflicts;
}

// Returns the workloads as found on the node or, if a look-up fails, as found last time; `node_view` gets the others.
StatusOr<std::vector<node::BoundWorkload>> PlaceFinder::LookUp(const std::set<ObjectName>& asked_for,
                                                               NodeView& node_view) const {
  std::vector<node::BoundWorkload> found;
  for (const auto& [id, resource] : node_view.resources.of(policy::Kind::kWorkload)) {
    StatusOr<node::BoundWorkload> bound =
        Status(absl::StatusCode::kFailedPrecondition, resource.workload->closed_because);
    if (resource.workload->closed_because.empty()) {
      if (!asked_for.contains(id.name) && StaysAsFound(*resource.workload)) {
        bound = *FoundBefore(id.name);
      } else {
        bound = node_.bind(*resource.workload);
      }
    }
    if (const auto refuses = before_.unattachable.find(id.name); refuses != before_.unattachable.end() && bound.ok()) {
      if (!asked_for.contains(id.name)) bound = Status(absl::StatusCode::kFailedPrecondition, refuses->second);
    }
    if (!bound.ok() && asked_for.contains(id.name)) return bound.status();
    if (!bound.ok() && !node::IsAnswer(bound.status())) {
      node_view.failed[id.name] = Message(bound.status());
      const node::BoundWorkload* const last = FoundBefore(id.name);
      if (last != nullptr && SpecBefore(id.name) == resource.workload.get() && IsThere(*last)) bound = *last;
    }
    node_view.process_owners.Add(*resource.workload, bound.ok() ? bound->netns : 0);
    if (bound.ok()) {
      found.push_back(*std::move(bound));
    } else {
      node_view.unbound[id.name] = Message(bound.status());
    }
  }
  return found;
}

// A number that the kernel already has for the interface stays, with all that is stored under it.
Status PlaceFinder::Number(const node::BoundWorkload& bound, NodeView& node_view) const {
  if (const auto before = before_.in_force.find(bound.binding.ifindex);
      before != before_.in_force.end() && node_view.ids.Find(bound.name) == 0) {
    if (node_view.ids.Adopt(bound.name, before->second).ok()) return OkStatus();
  }
  return node_view.ids.Assign(bound.name).status();
}

// Workloads whose namespace or interface is missing stay known and are not enforced on: no traffic can pass an
// interface that does not exist, and one that does is closed (AddClosed, StillOwned). Only a request that names such a
// workload fails.
StatusOr<std::shared_ptr<const NodeView>> PlaceFinder::Find(const ResourceMap& resources,
                                                            const std::vector<policy::Resource>& requested) const {
  std::set<ObjectName> asked_for;
  for (const policy::Resource& resource : requested) {
    if (resource.workload != nullptr) asked_for.insert(resource.id.name);
  }
  auto node_view = std::make_shared<NodeView>();
  node_view->looked_at = before_.new_interfaces;
  node_view->resources = resources;
  node_view->ids = before_.ids;
  SL_ASSIGN_OR_RETURN(std::vector<node::BoundWorkload> found, LookUp(asked_for, *node_view));
  for (const node::BoundWorkload& bound : found)
    node_view->namespaces.insert({bound.netns, bound.netns_cookie, bound.netns_path});
  const auto conflicts = FindConflicts(found, *node_view);
  for (const auto& [name, conflict] : conflicts) {
    if (asked_for.contains(name) || asked_for.contains(conflict.holder)) {
      return MakeError(absl::StatusCode::kFailedPrecondition, "{}", conflict.problem);
    }
    node_view->unbound[name] = conflict.problem;
    node_view->bindings[name] = {};  // without the addresses of its spec
  }
  for (node::BoundWorkload& bound : found) {
    if (conflicts.contains(bound.name)) continue;
    SL_RETURN_IF_ERROR(Number(bound, *node_view));
    bound.binding.endpoint = node_view->ids.Find(bound.name);
    bound.facts.endpoint = bound.binding.endpoint;
    node_view->interfaces.push_back({bound.binding.ifindex, bound.host_interface, bound.facts, bound.takes_frames});
    node_view->owners[bound.binding.ifindex] = bound.name;
    node_view->bindings[bound.name] = bound.binding;
    node_view->found[bound.name] = std::move(bound);
  }
  AddClosed(*node_view);
  std::vector<ObjectName> gone;
  for (const auto& [name, number] : node_view->ids.all()) {
    if (!resources.contains({policy::Kind::kWorkload, name})) gone.push_back(name);
  }
  for (const ObjectName& name : gone) node_view->ids.Release(name);
  SL_ASSIGN_OR_RETURN(node_view->node_addresses, node_.addresses());
  return node_view;
}

// Adds the interfaces of workloads that are not enforced on, as far as they can be found.
void PlaceFinder::AddClosed(NodeView& node_view) const {
  if (!node_.host_ends) return;
  std::vector<const policy::Workload*> unbound;
  for (const auto& [name, problem] : node_view.unbound) {
    unbound.push_back(node_view.resources.at({policy::Kind::kWorkload, name}).workload.get());
  }
  if (unbound.empty()) return;
  for (const auto& [name, ends] : node_.host_ends(unbound)) {
    if (!ends.ok()) {
      node_view.open.insert(name);
      node_view.unbound[name] += "; NOT closed, because its interface cannot be found: " + Message(ends.status());
      continue;
    }
    for (const node::HostEnd& end : *ends) {
      if (node_view.owners.try_emplace(end.ifindex, name).second) node_view.closed.push_back(ClosedInterface(end));
    }
  }
}

}  // namespace

Status Planner::Make(const Desired& desired, const StateChange& change, Look look, const Before& before, Plan* plan) {
  *plan = {.view = std::make_shared<View>(), .node_view = before.node_view};
  const bool same_workloads =
      before.node_view && before.node_view->resources.Shares(policy::Kind::kWorkload, desired.all());
  if (look != Look::kForNewWorkloads || !same_workloads) {
    SL_ASSIGN_OR_RETURN(plan->node_view, PlaceFinder(*node_, before, look).Find(desired.all(), change.puts));
    plan->looked_again = look == Look::kAgain;
  }
  View& view = *plan->view;
  view.revision = change.revision;
  view.resources = desired.all();
  view.desired = desired;
  view.unbound = plan->node_view->unbound;
  view.open = plan->node_view->open;
  view.process_owners = plan->node_view->process_owners;
  SL_ASSIGN_OR_RETURN(
      auto snapshot, policy::Snapshot::Build(view.resources, plan->node_view->bindings, plan->node_view->node_addresses,
                                             before.view->compiled.snapshot.get()));
  SL_ASSIGN_OR_RETURN(view.compiled, compiler_.Compile(std::move(snapshot), datapath_->limits()));
  return OkStatus();
}

StatusOr<policy::CompiledPolicy> Planner::CompileNothing() {
  SL_ASSIGN_OR_RETURN(auto nobody, policy::Snapshot::Build({}, {}, {}));
  return compiler_.Compile(std::move(nobody), datapath_->limits());
}

}  // namespace sluice::reconcile
