#include "ctrl/reconcile/planner.h"

#include <algorithm>
#include <set>
#include <utility>

namespace sluice::reconcile {
namespace {

using policy::ObjectName;
using policy::ResourceMap;

struct Intruder {
  ObjectName holder;
  std::string problem;
};

// One look at the node.
class PlaceFinder {
 public:
  PlaceFinder(const Node& node, const Planner::Before& before) : node_(node), before_(before) {}

  StatusOr<std::shared_ptr<const Places>> Find(const ResourceMap& resources,
                                               const std::vector<policy::Resource>& requested) const;

 private:
  std::map<ObjectName, Intruder> FindIntruders(const std::vector<node::BoundWorkload>& bound,
                                               const Places& places) const;
  StatusOr<std::vector<node::BoundWorkload>> LookUp(const std::set<ObjectName>& asked_for, Places& places) const;
  Status Number(const node::BoundWorkload& bound, Places& places) const;
  void AddClosed(Places& places) const;

  const Node& node_;
  const Planner::Before& before_;
};

// Whoever has an address keeps it: a pod that takes another one's is not enforced for it, and changes nothing for
// others. Those that are on the node come before those that only say in their spec what they will have. Who has the
// problem, and which.
std::map<ObjectName, Intruder> PlaceFinder::FindIntruders(const std::vector<node::BoundWorkload>& bound,
                                                          const Places& places) const {
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
  for (const auto& [name, problem] : places.unbound) {
    claims.emplace_back(name, &places.resources.at({policy::Kind::kWorkload, name}).workload->ips);
  }
  std::map<policy::Address, ObjectName> holders;
  // An address that somebody had before is that one's, also where it has others now.
  for (const auto& [name, ips] : claims) {
    if (places.unbound.contains(name)) continue;
    for (const policy::Address& ip : *ips) {
      const policy::Endpoint* was = before->compiled.snapshot ? before->compiled.snapshot->Find(ip) : nullptr;
      if (was != nullptr && was->ifindex != 0 && was->name == name) holders.try_emplace(ip, name);
    }
  }
  std::map<ObjectName, Intruder> intruders;
  for (const auto& [name, ips] : claims) {
    for (const policy::Address& ip : *ips) {
      const ObjectName& holder = holders.try_emplace(ip, name).first->second;
      if (holder == name) continue;
      intruders[name] = {holder, fmt::format("Workload {}: it has the address {} of Workload {}: give each its own",
                                             name.ToString(), ip.ToString(), holder.ToString())};
    }
  }
  return intruders;
}

// All workloads, as they are on the node, or as they were when they cannot be looked up; `places` gets the others.
StatusOr<std::vector<node::BoundWorkload>> PlaceFinder::LookUp(const std::set<ObjectName>& asked_for,
                                                               Places& places) const {
  std::vector<node::BoundWorkload> found;
  for (const auto& [id, resource] : places.resources.of(policy::Kind::kWorkload)) {
    auto bound = node_.bind(*resource.workload);
    if (const auto refuses = before_.unattachable.find(id.name); refuses != before_.unattachable.end() && bound.ok()) {
      if (!asked_for.contains(id.name)) bound = Status(absl::StatusCode::kFailedPrecondition, refuses->second);
    }
    if (!bound.ok() && asked_for.contains(id.name)) return bound.status();
    if (!bound.ok() && !node::IsAnswer(bound.status())) {
      places.failed[id.name] = Message(bound.status());
      const auto last =
          before_.places ? before_.places->found.find(id.name) : decltype(before_.places->found)::const_iterator();
      const auto spec = before_.places ? before_.places->resources.find(id) : ResourceMap::const_iterator();
      if (before_.places && last != before_.places->found.end() && spec != before_.places->resources.end() &&
          (*spec).second.workload == resource.workload &&
          (!node_.has_interface || node_.has_interface(last->second.binding.ifindex))) {
        bound = last->second;
      }
    }
    places.process_owners.Add(*resource.workload, bound.ok() ? bound->netns : 0);
    if (bound.ok()) {
      found.push_back(*std::move(bound));
    } else {
      places.unbound[id.name] = Message(bound.status());
    }
  }
  return found;
}

// A number that the kernel has for its interface already stays, with what is kept under it.
Status PlaceFinder::Number(const node::BoundWorkload& bound, Places& places) const {
  if (const auto before = before_.in_force.find(bound.binding.ifindex);
      before != before_.in_force.end() && places.ids.Find(bound.name) == 0) {
    if (places.ids.Adopt(bound.name, before->second).ok()) return OkStatus();
  }
  return places.ids.Assign(bound.name).status();
}

// Workloads whose namespace or interface is not there (yet) stay known and are not enforced on: no traffic can pass an
// interface that does not exist, and one that does is closed (AddClosed, StillOwned). Only who asks for such a workload
// right now is told so.
StatusOr<std::shared_ptr<const Places>> PlaceFinder::Find(const ResourceMap& resources,
                                                          const std::vector<policy::Resource>& requested) const {
  std::set<ObjectName> asked_for;
  for (const policy::Resource& resource : requested) {
    if (resource.workload != nullptr) asked_for.insert(resource.id.name);
  }
  auto places = std::make_shared<Places>();
  places->looked_at = before_.newcomers;
  places->resources = resources;
  places->ids = before_.ids;
  SL_ASSIGN_OR_RETURN(std::vector<node::BoundWorkload> found, LookUp(asked_for, *places));
  for (const node::BoundWorkload& bound : found) places->netns.insert(bound.netns);
  const auto intruders = FindIntruders(found, *places);
  for (const auto& [name, intruder] : intruders) {
    if (asked_for.contains(name) || asked_for.contains(intruder.holder)) {
      return MakeError(absl::StatusCode::kFailedPrecondition, "{}", intruder.problem);
    }
    places->unbound[name] = intruder.problem;
    places->bindings[name] = {};  // without the addresses of its spec
  }
  for (node::BoundWorkload& bound : found) {
    if (intruders.contains(bound.name)) continue;
    SL_RETURN_IF_ERROR(Number(bound, *places));
    bound.binding.endpoint = places->ids.Find(bound.name);
    bound.facts.endpoint = bound.binding.endpoint;
    places->interfaces.push_back({bound.binding.ifindex, bound.host_interface, bound.facts, bound.takes_frames});
    places->owners[bound.binding.ifindex] = bound.name;
    places->bindings[bound.name] = bound.binding;
    places->found[bound.name] = std::move(bound);
  }
  AddClosed(*places);
  std::vector<ObjectName> gone;
  for (const auto& [name, number] : places->ids.all()) {
    if (!resources.contains({policy::Kind::kWorkload, name})) gone.push_back(name);
  }
  for (const ObjectName& name : gone) places->ids.Release(name);
  SL_ASSIGN_OR_RETURN(places->node_addresses, node_.addresses());
  return places;
}

// The interfaces of those who are not enforced on, as far as they can be found.
void PlaceFinder::AddClosed(Places& places) const {
  if (!node_.host_ends) return;
  std::vector<const policy::Workload*> unbound;
  for (const auto& [name, problem] : places.unbound) {
    unbound.push_back(places.resources.at({policy::Kind::kWorkload, name}).workload.get());
  }
  if (unbound.empty()) return;
  for (const auto& [name, ends] : node_.host_ends(unbound)) {
    if (!ends.ok()) {
      places.open.insert(name);
      places.unbound[name] += "; NOT closed, for its interface cannot be found: " + Message(ends.status());
      continue;
    }
    for (const node::HostEnd& end : *ends) {
      if (places.owners.try_emplace(end.ifindex, name).second) places.closed.push_back(ClosedInterface(end));
    }
  }
}

}  // namespace

Status Planner::Make(const Desired& desired, const StateChange& change, Look look, const Before& before, Plan* plan) {
  *plan = {.view = std::make_shared<View>(), .places = before.places};
  const bool same_workloads = before.places && before.places->resources.Shares(policy::Kind::kWorkload, desired.all);
  if (look == Look::kAgain || !same_workloads) {
    SL_ASSIGN_OR_RETURN(plan->places, PlaceFinder(*node_, before).Find(desired.all, change.puts));
  }
  View& view = *plan->view;
  view.revision = change.revision;
  view.resources = desired.all;
  view.unbound = plan->places->unbound;
  view.process_owners = plan->places->process_owners;
  SL_ASSIGN_OR_RETURN(auto snapshot,
                      policy::Snapshot::Build(view.resources, plan->places->bindings, plan->places->node_addresses,
                                              before.view->compiled.snapshot.get()));
  SL_ASSIGN_OR_RETURN(view.compiled, compiler_.Compile(std::move(snapshot), datapath_->limits()));
  return OkStatus();
}

StatusOr<policy::CompiledPolicy> Planner::CompileNothing() {
  SL_ASSIGN_OR_RETURN(auto nobody, policy::Snapshot::Build({}, {}, {}));
  return compiler_.Compile(std::move(nobody), datapath_->limits());
}

}  // namespace sluice::reconcile
