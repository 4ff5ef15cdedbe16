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

using PolicyList = PeerPolicies::List;

constexpr char kNamespaceName[] = "kubernetes.io/metadata.name";

// Namespaces whose allow lists of peers have the posture "block" (policy/lsm/postures.h).
std::vector<std::string> BlockingNamespaces(const ResourceMap& resources) {
  std::vector<std::string> names;
  for (const auto& [id, resource] : resources.of(Kind::kNamespace)) {
    const auto posture = resource.ns->postures.find("kubearmor-network-posture");
    if (posture != resource.ns->postures.end() && posture->second == "block") names.push_back(id.name.name);
  }
  return names;
}

void AddIn(const PolicyList& list, Selector::Operator op, const std::vector<std::string>& namespaces, PolicyList& out) {
  for (const auto& policy : list) {
    auto copy = std::make_shared<NetworkPolicy>(*policy);
    copy->namespace_selector->requirements.push_back({.key = kNamespaceName, .op = op, .values = namespaces});
    out.push_back(std::move(copy));
  }
}

// What KubeArmor policies of this kind say about peers, by the postures of their workloads' namespaces.
PolicyList PeerPoliciesIn(const ResourceMap& resources, Kind kind, const std::vector<std::string>& blocking) {
  PolicyList list;
  for (const auto& [id, resource] : resources.of(kind)) {
    if (resource.peers == nullptr) continue;
    const PeerPolicies& peers = *resource.peers;
    const bool by_namespace = kind == Kind::kKubeArmorClusterPolicy && !blocking.empty() && peers.block != peers.audit;
    if (by_namespace) {
      AddIn(peers.audit, Selector::Operator::kNotIn, blocking, list);
      AddIn(peers.block, Selector::Operator::kIn, blocking, list);
      continue;
    }
    const bool blocks = std::binary_search(blocking.begin(), blocking.end(), id.name.ns);
    const PolicyList& of_posture = blocks ? peers.block : peers.audit;
    list.insert(list.end(), of_posture.begin(), of_posture.end());
  }
  return list;
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
  const auto merge_from = [&](std::ptrdiff_t size) {
    std::inplace_merge(policies.begin(), policies.begin() + size, policies.end(), [](const auto& a, const auto& b) {
      return std::tie(a->name, a->api) < std::tie(b->name, b->api);
    });
  };
  for (const Kind kind : kPolicyKinds) {
    const auto size = static_cast<std::ptrdiff_t>(policies.size());
    for (const auto& [id, resource] : resources.of(kind)) policies.push_back(resource.policy);
    merge_from(size);
  }
  const std::vector<std::string> blocking = BlockingNamespaces(resources);
  for (const Kind kind : {Kind::kKubeArmorPolicy, Kind::kKubeArmorClusterPolicy}) {
    const auto size = static_cast<std::ptrdiff_t>(policies.size());
    const PolicyList peers = PeerPoliciesIn(resources, kind, blocking);
    policies.insert(policies.end(), peers.begin(), peers.end());
    merge_from(size);
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
