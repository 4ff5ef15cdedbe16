#include "policy/network/endpoint_origin.h"

#include <utility>

#include "policy/network/stable_id.h"

namespace sluice::policy {
namespace {

constexpr char kNameLabel[] = "kubernetes.io/metadata.name";

}  // namespace

Labels WithName(Labels labels, const std::string& name) {
  labels[kNameLabel] = name;
  return labels;
}

std::uint64_t NameHash(const EndpointOrigin& origin) {
  const ObjectName& name = origin.name();
  const std::string uid = origin.pod != nullptr ? origin.pod->uid : "";
  return StableHash(CanonicalKey().Add(name.ns).Add(name.name).Add(uid).bytes());
}

std::vector<std::uint32_t> WorkloadIds(const std::vector<EndpointOrigin>& origins) {
  std::vector<std::uint64_t> hashes;
  hashes.reserve(origins.size());
  for (const EndpointOrigin& origin : origins) hashes.push_back(origin.name_hash);
  return AssignStableIds(hashes, {});
}

const Binding* BindingOf(const EndpointOrigin& origin, const std::map<ObjectName, Binding>& bindings) {
  if (origin.workload == nullptr) return nullptr;
  const auto binding = bindings.find(origin.workload->name);
  return binding == bindings.end() ? nullptr : &binding->second;
}

const std::vector<Address>& ClaimedBy(const EndpointOrigin& origin, const Binding* binding) {
  if (origin.workload == nullptr) return origin.pod->ips;
  return binding != nullptr ? binding->ips : origin.workload->ips;
}

Endpoint MakeEndpoint(const EndpointOrigin& origin, const Binding* binding,
                      std::shared_ptr<const Labels> namespace_labels, std::vector<Address> ips) {
  const auto& [workload, pod, hash, id] = origin;
  return {.name = origin.name(),
          .workload_id = id,
          .labels = workload != nullptr ? workload->labels : pod->labels,
          .namespace_labels = std::move(namespace_labels),
          .ports = workload != nullptr ? workload->ports : pod->ports,
          .ips = std::move(ips),
          .ifindex = binding != nullptr ? binding->ifindex : 0,
          .endpoint = binding != nullptr ? binding->endpoint : 0,
          .owner = workload != nullptr ? workload->owner : pod->owner};
}

}  // namespace sluice::policy
