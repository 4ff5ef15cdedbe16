#include "ctrl/reconcile/controller.h"

#include <algorithm>
#include <set>

#include "ctrl/base/log.h"
#include "ctrl/net/netlink.h"
#include "ctrl/workload/binder.h"

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

struct Bound {
  std::map<ObjectName, policy::Binding> bindings;
  std::vector<datapath::PodInterface> interfaces;
  std::map<ObjectName, std::string> unbound;
};

// Workloads whose namespace or interface is not there (yet) stay known and are not enforced on: no traffic can pass
// an interface that does not exist.
Bound BindAll(const ResourceMap& resources) {
  Bound all;
  for (const auto& [id, resource] : resources) {
    if (resource.workload == nullptr) continue;
    auto bound = workload::Bind(*resource.workload);
    if (!bound.ok()) {
      all.unbound[id.name] = Message(bound.status());
      continue;
    }
    bound->facts.address = bound->binding.ips.front().abi();
    all.interfaces.push_back({bound->binding.ifindex, bound->host_interface, bound->facts});
    all.bindings[id.name] = std::move(bound->binding);
  }
  return all;
}

}  // namespace

Controller::Controller(datapath::Datapath* datapath, workload::EndpointIds ids, Persist persist)
    : datapath_(datapath), persist_(std::move(persist)), ids_(std::move(ids)), view_(std::make_shared<View>()) {}

Status Controller::Restore(ResourceMap directory, ResourceMap api_resources, std::uint64_t revision) {
  const std::lock_guard lock(mutex_);
  return Enforce({std::move(directory), std::move(api_resources)}, revision, false);
}

Status Controller::SetDirectory(ResourceMap resources) {
  const std::lock_guard lock(mutex_);
  return Enforce({std::move(resources), desired_.api}, view()->revision + 1, true);
}

StatusOr<std::uint64_t> Controller::Apply(const std::vector<policy::Resource>& resources) {
  const std::lock_guard lock(mutex_);
  Desired desired = desired_;
  for (const policy::Resource& resource : resources) desired.api[resource.id] = resource;
  SL_RETURN_IF_ERROR(Enforce(std::move(desired), view()->revision + 1, true));
  return view()->revision;
}

StatusOr<std::uint64_t> Controller::Delete(const std::vector<ResourceId>& ids) {
  const std::lock_guard lock(mutex_);
  Desired desired = desired_;
  for (const ResourceId& id : ids) {
    if (desired.api.erase(id) != 0) continue;
    if (desired.directory.contains(id))
      return MakeError(absl::StatusCode::kFailedPrecondition,
                       "{} comes from the resources directory: remove it from its file there and send SIGHUP",
                       id.ToString());
    return MakeError(absl::StatusCode::kNotFound, "{} does not exist", id.ToString());
  }
  SL_RETURN_IF_ERROR(Enforce(std::move(desired), view()->revision + 1, true));
  return view()->revision;
}

Status Controller::Refresh() {
  const std::lock_guard lock(mutex_);
  return Enforce(desired_, view()->revision, false);
}

// Plan first (pure), then the state on disk, then the kernel: interfaces are closed before they are opened by the
// generation that knows them, and released after the generation that no longer does.
Status Controller::Enforce(Desired desired, std::uint64_t revision, bool persist) {
  auto next = std::make_shared<View>();
  next->revision = revision;
  next->resources = Merge(desired.directory, desired.api);
  Bound bound = BindAll(next->resources);
  next->unbound = std::move(bound.unbound);

  workload::EndpointIds ids = ids_;
  std::vector<std::uint32_t> fresh_ids;
  for (auto& [name, binding] : bound.bindings) {
    const bool known = ids.Find(name) != 0;
    SL_ASSIGN_OR_RETURN(binding.endpoint, ids.Assign(name));
    if (!known) fresh_ids.push_back(binding.endpoint);
  }
  std::vector<ObjectName> gone;
  for (const auto& [name, id] : ids.all())
    if (!next->resources.contains({policy::Kind::kWorkload, name})) gone.push_back(name);
  for (const ObjectName& name : gone) ids.Release(name);

  SL_ASSIGN_OR_RETURN(auto node_addresses, NodeAddresses());
  SL_ASSIGN_OR_RETURN(auto snapshot,
                      policy::Snapshot::Build(next->resources, bound.bindings, std::move(node_addresses)));
  SL_ASSIGN_OR_RETURN(next->compiled, policy::Compile(std::move(snapshot), datapath_->limits()));

  if (persist) SL_RETURN_IF_ERROR(persist_(desired.api, ids, revision));

  for (const std::uint32_t id : fresh_ids) SL_RETURN_IF_ERROR(datapath_->ResetEndpoint(id));
  std::set<std::uint32_t> wanted;
  for (const datapath::PodInterface& interface : bound.interfaces) {
    SL_RETURN_IF_ERROR(datapath_->AttachPod(interface));
    wanted.insert(interface.ifindex);
  }
  SL_RETURN_IF_ERROR(datapath_->Commit(next->compiled.tables));
  for (const auto& attached : datapath_->Attached()) {
    if (attached.program == "xdp_uplink" || wanted.contains(attached.ifindex)) continue;
    if (Status status = datapath_->DetachPod(attached.ifindex); !status.ok())
      LogWarn("release {}: {}", attached.interface, Message(status));
  }

  desired_ = std::move(desired);
  ids_ = std::move(ids);
  const std::lock_guard lock(view_mutex_);
  if (decisions_.size() > kMaxKeptDecisions) decisions_.clear();
  for (const auto& [number, decision] : next->compiled.decisions)
    decisions_.try_emplace(number, std::make_shared<const policy::Decision>(decision));
  view_ = std::move(next);
  return OkStatus();
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
