#include "ctrl/reconcile/controller.h"

#include <net/if.h>

#include <algorithm>
#include <cerrno>
#include <optional>
#include <set>

#include "base/log.h"
#include "kernel/net/netlink.h"
#include "policy/network/diff.h"

namespace sluice::reconcile {
namespace {

using policy::ObjectName;
using policy::ResourceId;
using policy::ResourceMap;

// Decisions of earlier generations kept for the flows that still name them.
constexpr std::size_t kMaxKeptDecisions = 1U << 18U;

// After the reason to hold: what ends it.
constexpr const char* kUntilAsked = "; it ends when resources are applied or deleted, or with SIGHUP";

StatusOr<std::vector<policy::Address>> NodeAddresses() {
  SL_ASSIGN_OR_RETURN(net::Netlink here, net::Netlink::Open());
  SL_ASSIGN_OR_RETURN(const auto infos, here.DumpAddresses());
  std::vector<policy::Address> addresses;
  for (const auto& info : infos) addresses.push_back(info.address);
  std::sort(addresses.begin(), addresses.end());
  addresses.erase(std::unique(addresses.begin(), addresses.end()), addresses.end());
  return addresses;
}

// The numbers that `to` has and `from` has not, or has otherwise; and the names that have none any more.
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
         change.gone_endpoints.empty() && change.quarantines.empty() && !change.refusals;
}

// Only the kernel's own "there is none" counts: without a file descriptor, say, nothing is known.
bool HasInterface(std::uint32_t ifindex) {
  char name[IF_NAMESIZE];
  return if_indextoname(ifindex, name) != nullptr || (errno != ENXIO && errno != ENODEV);
}

std::string UnreadableNames(const std::map<ResourceId, std::string>& unreadable) {
  std::string names;
  for (const auto& [id, problem] : unreadable) names += (names.empty() ? "" : ", ") + id.ToString();
  return names;
}

}  // namespace

Node Node::Real(const net::SocketIn& socket_in) {
  return {[socket_in](const policy::Workload& workload) { return node::Bind(socket_in, workload); }, NodeAddresses,
          HasInterface,
          [socket_in](const std::vector<const policy::Workload*>& workloads) {
            return node::FindHostEnds(socket_in, workloads);
          },
          node::AllHostEnds};
}

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

// While a plan's interfaces are attached and until they are owned, CloseNewcomers says nothing of them to the kernel.
class Controller::Attaching {
 public:
  Attaching(Controller* controller, const Plan& plan) : controller_(controller) { Set(&plan.places->owners); }
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

// One call of Apply or Delete.
struct Controller::Edit {
  std::vector<policy::Resource> puts;
  std::vector<ResourceId> deletes;
  StatusOr<std::uint64_t> revision = std::uint64_t{0};  // once it is made
  bool made = false;                                    // by edits_mutex_
};

Controller::Controller(datapath::Enforcer* datapath, Node node, Save save)
    : datapath_(datapath), node_(std::move(node)), save_(std::move(save)), view_(std::make_shared<View>()) {}

Status Controller::Restore(StatusOr<ResourceMap> directory, StateStore::State state) {
  const std::lock_guard lock(mutex_);
  if (!directory.ok()) unread_directory_ = Message(directory.status());
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
  {
    const std::lock_guard view_lock(view_mutex_);
    quarantined_ = std::move(state.quarantined);
  }
  saved_refusals_ = std::move(state.refusals);
  const bool pinned = datapath_->generation() > 0 || state.pinned;
  if (!unread_directory_.empty()) {
    holding_ = "the resources directory cannot be read: " + unread_directory_ + "; mend it and send SIGHUP";
  } else if (!unreadable_.empty()) {
    const auto& [id, problem] = *unreadable_.begin();
    holding_ = fmt::format(
        "{} of what was saved cannot be read, the first is {}: {}; it ends when all of it is applied or deleted in one "
        "step: {}",
        unreadable_.size(), id.ToString(), problem, UnreadableNames(unreadable_));
  } else if (state.unknown || (pinned && !state.doubt.empty())) {
    holding_ = state.doubt + (state.can_save ? kUntilAsked : "");
  } else if (knows_nobody && !in_force_before_.empty()) {
    holding_ = fmt::format("nothing is saved, but the kernel enforces on {} workloads{}", in_force_before_.size(),
                           kUntilAsked);
  } else if (knows_nobody && state.pinned && state.revision == 0 && !datapath_->Attached().empty()) {
    holding_ = fmt::format("nothing is saved, but an older version is attached{}", kUntilAsked);
  }
  const bool knows_workloads = !state.unknown && unread_directory_.empty() &&
                               std::none_of(unreadable_.begin(), unreadable_.end(),
                                            [](const auto& row) { return row.first.kind == policy::Kind::kWorkload; });
  close_all_ = !knows_workloads && !pinned;
  Desired desired(directory.ok() ? *std::move(directory) : ResourceMap(), std::move(state.resources));
  RestoreRefused(saved_refusals_, desired.all);
  return Follow(std::move(desired), {.revision = state.revision});
}

Status Controller::SetDirectory(ResourceMap resources) {
  const std::lock_guard lock(mutex_);
  std::vector<policy::Resource> workloads;
  for (const auto& [id, resource] : resources.of(policy::Kind::kWorkload)) workloads.push_back(resource);
  Desired desired(std::move(resources), desired_.api);
  if (!unread_directory_.empty()) {  // a start would have had it, whatever becomes of this change
    unread_directory_.clear();
    desired_ = desired;
    holding_ = fmt::format("the resources directory could not be read at the start{}", kUntilAsked);
  }
  Await(desired.all, desired_.all);
  Status status = Enforce(std::move(desired), {.revision = view()->revision + 1}, Look::kAgain, Saving::kMust);
  if (!status.ok()) Await(desired_.all);
  if (!status.ok()) CloseRefused(workloads, status);
  return status;
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

// All of the edit or, with an error, nothing of it.
Status Controller::AddTo(Desired& desired, const Edit& edit) const {
  for (const ResourceId& id : edit.deletes) {
    if (desired.api.contains(id) || unreadable_.contains(id)) continue;
    if (id.kind == policy::Kind::kWorkload && refused_.contains(id.name)) continue;
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

Status Controller::Refresh() {
  const std::lock_guard lock(mutex_);
  std::erase_if(refused_, [this](const auto& refused) {
    const auto& ends = refused.second.ends;
    return node_.has_interface && std::none_of(ends.begin(), ends.end(), [this](const node::HostEnd& end) {
             return node_.has_interface(end.ifindex);
           });
  });
  SL_RETURN_IF_ERROR(Follow(desired_, {.revision = view()->revision}));
  if (!places_->failed.empty()) {
    const auto& [name, problem] = *places_->failed.begin();
    return MakeError(absl::StatusCode::kUnavailable,
                     "{} workloads cannot be looked up, and are enforced on as before; the first is {}: {}",
                     places_->failed.size(), name.ToString(), problem);
  }
  return unsaved_;
}

// Whoever has an address keeps it: a pod that takes another one's is not enforced for it, and changes nothing for
// others. Those that are on the node come before those that only say in their spec what they will have. Who has the
// problem, and which.
std::map<ObjectName, Controller::Intruder> Controller::FindIntruders(const std::vector<node::BoundWorkload>& bound,
                                                                     const Places& places) const {
  std::vector<std::pair<ObjectName, const std::vector<policy::Address>*>> claims;
  const auto before = view();
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
StatusOr<std::vector<node::BoundWorkload>> Controller::LookUp(const std::set<ObjectName>& asked_for,
                                                              Places& places) const {
  std::vector<node::BoundWorkload> found;
  for (const auto& [id, resource] : places.resources.of(policy::Kind::kWorkload)) {
    auto bound = node_.bind(*resource.workload);
    if (const auto refuses = unattachable_.find(id.name); refuses != unattachable_.end() && bound.ok()) {
      if (!asked_for.contains(id.name)) bound = Status(absl::StatusCode::kFailedPrecondition, refuses->second);
    }
    if (!bound.ok() && asked_for.contains(id.name)) return bound.status();
    if (!bound.ok() && !node::IsAnswer(bound.status())) {
      places.failed[id.name] = Message(bound.status());
      const auto last = places_ ? places_->found.find(id.name) : decltype(places_->found)::const_iterator();
      const auto spec = places_ ? places_->resources.find(id) : ResourceMap::const_iterator();
      if (places_ && last != places_->found.end() && spec != places_->resources.end() &&
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
Status Controller::Number(const node::BoundWorkload& bound, Places& places) const {
  if (const auto before = in_force_before_.find(bound.binding.ifindex);
      before != in_force_before_.end() && places.ids.Find(bound.name) == 0) {
    if (places.ids.Adopt(bound.name, before->second).ok()) return OkStatus();
  }
  return places.ids.Assign(bound.name).status();
}

// Workloads whose namespace or interface is not there (yet) stay known and are not enforced on: no traffic can pass an
// interface that does not exist, and one that does is closed (AddClosed, StillOwned). Only who asks for such a workload
// right now is told so.
StatusOr<std::shared_ptr<const Controller::Places>> Controller::FindPlaces(
    const ResourceMap& resources, const std::vector<policy::Resource>& requested) const {
  std::set<ObjectName> asked_for;
  for (const policy::Resource& resource : requested) {
    if (resource.workload != nullptr) asked_for.insert(resource.id.name);
  }
  auto places = std::make_shared<Places>();
  {
    const std::lock_guard lock(closing_mutex_);
    places->looked_at = newcomers_so_far_;
  }
  places->resources = resources;
  places->ids = numbers();
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

// What is on the node is looked at when it may have changed (Refresh) or other workloads are asked for. With an error,
// the plan has the places if those were found.
Status Controller::MakePlan(const Desired& desired, const StateChange& change, Look look, Plan* plan) {
  *plan = {.view = std::make_shared<View>(), .places = places_};
  const bool same_workloads = places_ && places_->resources.Shares(policy::Kind::kWorkload, desired.all);
  if (look == Look::kAgain || !same_workloads) {
    SL_ASSIGN_OR_RETURN(plan->places, FindPlaces(desired.all, change.puts));
  }
  View& view = *plan->view;
  view.revision = change.revision;
  view.resources = desired.all;
  view.unbound = plan->places->unbound;
  view.process_owners = plan->places->process_owners;
  SL_ASSIGN_OR_RETURN(auto snapshot,
                      policy::Snapshot::Build(view.resources, plan->places->bindings, plan->places->node_addresses,
                                              this->view()->compiled.snapshot.get()));
  SL_ASSIGN_OR_RETURN(view.compiled, compiler_.Compile(std::move(snapshot), datapath_->limits()));
  return OkStatus();
}

// After the node, or a start: nobody asked for it, so nobody can be refused.
Status Controller::Follow(Desired desired, StateChange change) {
  unattachable_.clear();  // tried again
  if (holding_.empty()) return Enforce(std::move(desired), std::move(change), Look::kAgain, Saving::kIfPossible);
  Plan plan;
  Status planned = MakePlan(desired, change, Look::kAgain, &plan);
  if (!planned.ok() && (!plan.places || plan.places == places_)) return planned;
  return Hold(std::move(desired), std::move(plan), holding_);
}

// Everything is attached that is a workload's, and nothing that is attached is let go. What the kernel decides by
// stays.
Status Controller::Hold(Desired desired, Plan plan, const std::string& why) {
  if (!plan.view->compiled.snapshot) {  // it could not be compiled
    SL_ASSIGN_OR_RETURN(auto nobody, policy::Snapshot::Build({}, {}, {}));
    SL_ASSIGN_OR_RETURN(plan.view->compiled, compiler_.Compile(std::move(nobody), datapath_->limits()));
  }
  {
    const Attaching attaching(this, plan);
    Attach(plan.places->interfaces);
    AttachClosed(plan.places->closed);
  }
  Owners owners = plan.places->owners;
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
  Remember(std::move(desired), std::move(plan));
  return OkStatus();
}

Status Controller::CheckUnreadable(const StateChange& change) const {
  if (!unread_directory_.empty()) return MakeError(absl::StatusCode::kFailedPrecondition, "holding: {}", holding_);
  for (const auto& [id, problem] : unreadable_) {
    const bool is_replaced = std::any_of(change.puts.begin(), change.puts.end(),
                                         [&id = id](const auto& resource) { return resource.id == id; }) ||
                             std::find(change.deletes.begin(), change.deletes.end(), id) != change.deletes.end();
    if (is_replaced) continue;
    return MakeError(absl::StatusCode::kFailedPrecondition,
                     "holding: {} was saved and cannot be read ({}): apply or delete, in one step, all of it: {}",
                     id.ToString(), problem, UnreadableNames(unreadable_));
  }
  return OkStatus();
}

// Plan first (pure but for looking at the node); then the kernel inside the transaction that saves the change, so that
// either both have it or none; then memory.
Status Controller::Enforce(Desired desired, StateChange change, Look look, Saving saving) {
  const bool must_save = saving == Saving::kMust;
  if (must_save) SL_RETURN_IF_ERROR(CheckUnreadable(change));
  Plan plan;
  if (Status planned = MakePlan(desired, change, look, &plan); !planned.ok()) {
    // At a start there is nothing to go back to.
    const bool is_start = !restored_ && !must_save && plan.places;
    return is_start ? Hold(std::move(desired), std::move(plan), Message(planned)) : planned;
  }
  if (!restored_ && !plan.places->failed.empty() && datapath_->generation() > 0) {
    const std::string why = fmt::format("{} workloads cannot be looked up, the first: {}", plan.places->failed.size(),
                                        plan.places->failed.begin()->second);
    if (must_save) return MakeError(absl::StatusCode::kUnavailable, "holding: {}", why);
    return Hold(std::move(desired), std::move(plan), why);
  }
  const auto all_attached = datapath_->Attached();
  Owners owners = plan.places->owners;
  owners.merge(StillOwned(plan, change));
  AddEndpointChanges(saved_ids_, plan.places->ids, &change);
  change.quarantines.assign(unsaved_quarantines_.begin(), unsaved_quarantines_.end());
  Refusals refusals = RefusalsAfter(change, *plan.places);
  if (refusals != saved_refusals_) change.refusals = refusals;
  for (const auto& attached : all_attached) {
    if (attached.program != "xdp_uplink" && !owners.contains(attached.ifindex))
      change.released_interfaces.push_back(attached.ifindex);
  }
  std::optional<Status> carried;
  const std::size_t unattachable = unattachable_.size();
  std::optional<Attaching> attaching;
  const auto enforce = [&] {
    attaching.emplace(this, plan);
    return *(carried = Carry(plan, saving));
  };
  change.ends_doubt = doubted_;
  const bool to_save = !IsEmpty(change) || change.revision != saved_revision_ || doubted_;
  Status saved = to_save ? save_(change, enforce) : enforce();
  Status status = saved;
  if (!saved.ok() && !must_save && (!carried || carried->ok())) {
    // The disk's problem, not the node's.
    status = carried ? *carried : enforce();
  }
  // The others do not wait for those that no program can be attached to.
  if (!status.ok() && unattachable_.size() > unattachable) {
    return Enforce(std::move(desired), {.revision = change.revision}, Look::kAgain, saving);
  }
  if (!status.ok()) {
    {  // what was closed for this change stays so (CloseRefused)
      const std::lock_guard lock(closing_mutex_);
      owners_.insert(plan.places->owners.begin(), plan.places->owners.end());
    }
    if (carried && carried->ok() && restored_) {
      // Not on disk: back to what is.
      if (Status undone = datapath_->Commit(view()->compiled.tables); !undone.ok()) {
        LogError("the kernel enforces a change that was refused, and the one before cannot be put back: {}",
                 Message(undone));
      }
    }
    if (restored_) PutBack();
    return restored_ || must_save ? status : Hold(std::move(desired), std::move(plan), Message(status));
  }
  if (saved.ok()) {
    saved_ids_ = plan.places->ids;
    saved_revision_ = change.revision;
    saved_refusals_ = std::move(refusals);
    unsaved_quarantines_.clear();
    doubted_ = false;
  }
  unsaved_ = std::move(saved);
  ForgetRefused(change, *plan.places);
  if (!restored_) TellNobodys(owners);
  close_all_ = false;
  Own(std::move(owners), plan);
  DetachAllButOwned();
  holding_.clear();
  unreadable_.clear();
  in_force_before_.clear();
  released_before_.clear();
  ids_ = plan.places->ids;
  restored_ = true;
  Remember(std::move(desired), std::move(plan));
  return OkStatus();
}

// Interfaces are closed before they are opened by the generation that knows them.
Status Controller::Carry(const Plan& plan, Saving saving) {
  for (const auto& [name, number] : plan.places->ids.all()) {
    if (ids_.Find(name) == number) continue;
    const auto binding = plan.places->bindings.find(name);
    const auto before = binding == plan.places->bindings.end() ? in_force_before_.end()
                                                               : in_force_before_.find(binding->second.ifindex);
    if (before != in_force_before_.end() && before->second == number) continue;  // it goes on
    SL_RETURN_IF_ERROR(datapath_->ResetEndpoint(number));
  }
  for (const ObjectName& name : quarantined_) {
    const std::uint32_t number = plan.places->ids.Find(name);
    if (number != 0) SL_RETURN_IF_ERROR(datapath_->SetQuarantine(number, true));
  }
  if (plan.places != places_ || !restored_) {
    AttachClosed(plan.places->closed);
    if (const Status shares = datapath_->SetShares(plan.places->netns); !shares.ok())
      LogWarn("shares of the tables of processes: {}", Message(shares));
    Status attached = OkStatus();
    for (const auto& interface : plan.places->interfaces) {
      Status status = datapath_->AttachPod(interface);
      if (status.ok()) continue;
      if (saving == Saving::kMust) return status;
      if (EnforcedInterfaces().contains(interface.ifindex)) {  // and stays, with what the kernel knows of it
        LogWarn("{}: {}", interface.name, Message(status));
        continue;
      }
      unattachable_[plan.places->owners.at(interface.ifindex)] = Message(status);
      attached.Update(status);
    }
    SL_RETURN_IF_ERROR(attached);
  }
  const policy::Tables& tables = plan.view->compiled.tables;
  // A generation that changes nothing would only make every flow be decided again.
  if (restored_ && policy::Diff(view()->compiled.tables, tables).empty()) return OkStatus();
  SL_RETURN_IF_ERROR(datapath_->Commit(tables));
  AttachClosed(plan.places->closed);  // what the generation before enforced on
  return OkStatus();
}

void Controller::Remember(Desired desired, Plan plan) {
  AddRefused(*plan.view);
  AddNobodys(*plan.view);
  for (const auto& [name, problem] : plan.view->unbound) {
    const bool is_open = plan.places->open.contains(name);
    if (view()->unbound.contains(name) && is_open == (places_ && places_->open.contains(name))) continue;
    if (is_open) {
      LogError("not enforced on: {}", problem);
    } else {
      LogWarn("closed, and not enforced on: {}", problem);
    }
  }
  desired_ = std::move(desired);
  places_ = std::move(plan.places);
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
