#include "policy/network/snapshot.h"

#include <algorithm>
#include <tuple>

#include "policy/network/populate.h"
#include "policy/network/population_change.h"

namespace sluice::policy {
namespace {

bool IsOf(const Population& population, const PopulationInput& input) {
  for (const Kind kind : {Kind::kNamespace, Kind::kPod, Kind::kWorkload}) {
    if (!population.resources.Shares(kind, input.resources)) return false;
  }
  return population.bindings == input.bindings && population.node_addresses == input.node_addresses;
}

}  // namespace

StatusOr<std::shared_ptr<const Snapshot>> Snapshot::Build(const ResourceMap& resources,
                                                          const std::map<ObjectName, Binding>& bindings,
                                                          std::vector<Address> node_addresses,
                                                          const Snapshot* previous) {
  std::sort(node_addresses.begin(), node_addresses.end());
  node_addresses.erase(std::unique(node_addresses.begin(), node_addresses.end()), node_addresses.end());
  const Population* const before = previous != nullptr ? previous->population.get() : nullptr;
  const PopulationInput input{resources, bindings, node_addresses};
  std::shared_ptr<const Population> population;
  if (before != nullptr) population = IsOf(*before, input) ? previous->population : Change(*before, input);
  if (population == nullptr) {
    SL_ASSIGN_OR_RETURN(population, Populate(input, before));
  }
  auto snapshot = std::make_shared<Snapshot>(std::move(population));
  // Each kind is in order already.
  auto& policies = snapshot->policies;
  for (const Kind kind : kPolicyKinds) {
    const auto size = static_cast<std::ptrdiff_t>(policies.size());
    for (const auto& [id, resource] : resources.of(kind)) policies.push_back(resource.policy);
    std::inplace_merge(policies.begin(), policies.begin() + size, policies.end(), [](const auto& a, const auto& b) {
      return std::tie(a->name, a->api) < std::tie(b->name, b->api);
    });
  }
  return snapshot;
}

const Endpoint* Population::Find(const Address& address) const {
  const auto found = by_address.find(address);
  return found == by_address.end() ? nullptr : &endpoints[found->second];
}

const Endpoint* Population::FindByName(const ObjectName& name) const {
  const auto& all = endpoints.pointers();
  const auto found = std::lower_bound(all.begin(), all.end(), name,
                                      [](const auto& endpoint, const ObjectName& n) { return endpoint->name < n; });
  return found == all.end() || (*found)->name != name ? nullptr : found->get();
}

bool Population::IsNode(const Address& address) const {
  return std::binary_search(node_addresses.begin(), node_addresses.end(), address);
}

}  // namespace sluice::policy
