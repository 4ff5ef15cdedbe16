#include "ctrl/node/endpoint_ids.h"

#include "bpf/abi/policy.h"

namespace sluice::node {

using policy::ObjectName;

StatusOr<std::uint32_t> EndpointIds::Assign(const ObjectName& name) {
  if (const std::uint32_t known = Find(name); known != 0) return known;
  std::uint32_t free = 1;
  for (const std::uint32_t taken : taken_) {
    if (taken != free) break;
    free++;
  }
  if (free >= SL_MAX_ENDPOINTS) {
    return MakeError(absl::StatusCode::kResourceExhausted,
                     "Workload {}: all {} endpoint numbers of this node are taken; delete workloads that are gone",
                     name.ToString(), SL_MAX_ENDPOINTS - 1);
  }
  SL_RETURN_IF_ERROR(Restore(name, free));
  return free;
}

Status EndpointIds::Restore(const ObjectName& name, std::uint32_t id) {
  if (id == 0 || id >= SL_MAX_ENDPOINTS) {
    return InvalidError("Workload {}: endpoint number {} is not in 1..{}", name.ToString(), id, SL_MAX_ENDPOINTS - 1);
  }
  if (Find(name) == id) return OkStatus();
  if (taken_.contains(id)) return InvalidError("Workload {}: endpoint number {} is taken", name.ToString(), id);
  Release(name);
  ids_[name] = id;
  taken_.insert(id);
  return OkStatus();
}

Status EndpointIds::Adopt(const ObjectName& name, std::uint32_t id) {
  if (NameOf(id) == ObjectName()) taken_.erase(id);
  return Restore(name, id);
}

ObjectName EndpointIds::NameOf(std::uint32_t id) const {
  for (const auto& [name, number] : ids_) {
    if (number == id) return name;
  }
  return {};
}

void EndpointIds::Release(const ObjectName& name) {
  taken_.erase(Find(name));
  ids_.erase(name);
}

std::uint32_t EndpointIds::Find(const ObjectName& name) const {
  const auto found = ids_.find(name);
  return found == ids_.end() ? 0 : found->second;
}

}  // namespace sluice::node
