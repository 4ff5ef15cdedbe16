#include "telemetry/calls/call_owners.h"

namespace sluice::telemetry {
namespace {

using policy::rules::Container;

constexpr std::size_t kShownId = 12;       // bytes of a container's id
constexpr std::size_t kMostPlaces = 8192;  // as call_places
constexpr std::size_t kMostContainers = 4096;

std::shared_ptr<const Container> HostAsContainer() {
  return {std::shared_ptr<const void>(), &policy::rules::HostContainer()};  // it lives for ever
}

}  // namespace

void CallOwners::Follow(const sl_call_event& event, ProcessInstance* instance) {
  instance->namespaces.net = event.netns;
  if (instance->cgroup != event.cgroup) {
    instance->cgroup = event.cgroup;
    instance->cgroup_path = nullptr;
  }
  if (instance->cgroup_path != nullptr || !cgroup_path_) return;
  if (auto path = cgroup_path_(event.pid, event.cgroup))
    instance->cgroup_path = std::make_shared<const std::string>(*std::move(path));
}

CallOwner CallOwners::FindNew(const ProcessInstance& instance) {
  if (find_) return find_(instance);
  CallOwner owner;
  if (instance.cgroup_path == nullptr) return owner;
  owner.final = true;
  const std::string id = ContainerId(*instance.cgroup_path);
  if (id.empty()) {
    owner.container = HostAsContainer();
    return owner;
  }
  if (containers_.size() >= kMostContainers) containers_.clear();
  auto& known = containers_[id];
  if (known == nullptr) {
    auto made = std::make_shared<Container>();
    made->full_id = id;
    made->id = id.substr(0, kShownId);
    known = std::move(made);
  }
  owner.container = known;
  return owner;
}

CallOwner CallOwners::Find(const sl_call_event& event, const ProcessInstance* instance) {
  const PlaceKey key{event.cgroup, event.mounts, event.netns};
  const bool unknown = (event.flags & SL_CALL_PLACE_UNKNOWN) != 0;
  if (!unknown || told_.contains(key)) {
    if (const auto known = final_.find(key); known != final_.end()) return known->second;
  }
  if (instance == nullptr) return {};
  CallOwner owner = FindNew(*instance);
  if (!owner.final) return owner;
  if (final_.size() >= kMostPlaces) final_.clear();
  final_.insert_or_assign(key, owner);
  if (unknown && told_.insert(key).second) Tell(event, owner);
  return owner;
}

// A container counts for its workload, if that is known. The last share is for those that find no room.
std::uint32_t CallOwners::ShareOf(const CallOwner& owner) {
  std::string key;
  if (!owner.workload.name.empty())
    key = owner.workload.ns + "/" + owner.workload.name;
  else if (owner.container != nullptr)
    key = owner.container->full_id;
  if (key.empty()) return 0;
  if (const auto known = shares_.find(key); known != shares_.end()) return known->second;
  if (shares_.size() + 1 >= SL_CALL_SHARES) return SL_CALL_SHARES - 1;
  const auto share = static_cast<std::uint32_t>(shares_.size() + 1);
  shares_.emplace(key, share);
  policy::ObjectName workload = owner.workload;
  if (workload.name.empty()) workload.name = owner.container->id;
  workloads_.emplace(share, std::move(workload));
  if (store_ != nullptr) store_->SetShares(share + 1);
  return share;
}

void CallOwners::Tell(const sl_call_event& event, const CallOwner& owner) {
  if (store_ == nullptr) return;
  store_->SetPlace({.cgroup = event.cgroup, .mounts = event.mounts, .netns = event.netns}, owner.container,
                   ShareOf(owner));
}

policy::ObjectName CallOwners::WorkloadOf(std::uint32_t share) const {
  const auto known = workloads_.find(share);
  return known == workloads_.end() ? policy::ObjectName{} : known->second;
}

}  // namespace sluice::telemetry
