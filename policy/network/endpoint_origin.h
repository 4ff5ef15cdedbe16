// From a Workload or a Pod to its endpoint: what making a population and changing one have in common. Pure.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "policy/network/snapshot.h"

namespace sluice::policy {

// What a population is made from.
struct PopulationInput {
  const ResourceMap& resources;
  const std::map<ObjectName, Binding>& bindings;
  const std::vector<Address>& node_addresses;  // sorted, each once
};

// `pod`: of this kind.
inline bool IsEndpoint(const Resource& pod) { return !pod.pod->host_network && !pod.pod->finished; }  // 15, 18

// A namespace's labels with its name (10).
Labels WithName(Labels labels, const std::string& name);

std::uint64_t NameHash(const EndpointOrigin& origin);
// A number for each, from its name_hash. It depends on all that come before, if one of them has the same hash.
std::vector<std::uint32_t> WorkloadIds(const std::vector<EndpointOrigin>& origins);

// Null: it is not local.
const Binding* BindingOf(const EndpointOrigin& origin, const std::map<ObjectName, Binding>& bindings);
// The addresses that the endpoint has, except those that others have. `binding`: null if it is not local.
const std::vector<Address>& ClaimedBy(const EndpointOrigin& origin, const Binding* binding);

Endpoint MakeEndpoint(const EndpointOrigin& origin, const Binding* binding,
                      std::shared_ptr<const Labels> namespace_labels, std::vector<Address> ips);

}  // namespace sluice::policy
