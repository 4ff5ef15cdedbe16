#include "policy/network/snapshot.h"

#include <algorithm>

#include "policy/network/stable_id.h"

namespace sluice::policy {
namespace {

constexpr char kNameLabel[] = "kubernetes.io/metadata.name";

// The resource behind an endpoint, while the snapshot is being built.
struct Origin {
  bool workload = false;
  std::string uid;
};

struct Candidate {
  Endpoint endpoint;
  Origin origin;
};

void AddNamespace(Population& population, const std::string& name, const Labels& labels) {
  Labels& known = population.namespaces[name];
  known.insert(labels.begin(), labels.end());
  known[kNameLabel] = name;  // 10
}

Candidate FromWorkload(const Workload& workload, const std::map<ObjectName, Binding>& bindings) {
  Candidate candidate{{.name = workload.name,
                       .labels = workload.labels,
                       .ports = workload.ports,
                       .ips = workload.ips,
                       .owner = workload.owner},
                      {.workload = true, .uid = ""}};
  if (const auto binding = bindings.find(workload.name); binding != bindings.end()) {
    candidate.endpoint.ips = binding->second.ips;
    candidate.endpoint.ifindex = binding->second.ifindex;
    candidate.endpoint.endpoint = binding->second.endpoint;
  }
  return candidate;
}

Candidate FromPod(const Pod& pod) {
  return {{.name = pod.name, .labels = pod.labels, .ports = pod.ports, .ips = pod.ips, .owner = pod.owner},
          {.workload = false, .uid = pod.uid}};
}

// Assigns each address to one endpoint and removes it from the others.
Status ShareOutAddresses(const std::vector<Origin>& origins, Population& population) {
  for (const bool workloads : {true, false}) {
    for (std::size_t i = 0; i < origins.size(); i++) {
      if (origins[i].workload != workloads) continue;
      std::vector<Address> own;
      for (const Address& ip : population.endpoints[i].ips) {
        if (!workloads && population.IsNode(ip)) continue;  // 15: an address of this node belongs to no pod
        const auto [at, fresh] = population.by_address.emplace(ip, i);
        if (fresh) {
          own.push_back(ip);
        } else if (workloads && at->second != i) {
          return InvalidError("Workload {} and Workload {} both have the address {}: give each its own",
                              population.endpoints[at->second].name.ToString(), population.endpoints[i].name.ToString(),
                              ip.ToString());
        }
      }
      population.endpoints[i].ips = std::move(own);
    }
  }
  return OkStatus();
}

void NumberWorkloads(const std::vector<Origin>& origins, Population& population) {
  std::vector<std::string> keys;
  for (std::size_t i = 0; i < origins.size(); i++) {
    const ObjectName& name = population.endpoints[i].name;
    keys.push_back(CanonicalKey().Add(name.ns).Add(name.name).Add(origins[i].uid).bytes());
  }
  const std::vector<std::uint32_t> ids = AssignStableIds(keys, {});
  for (std::size_t i = 0; i < ids.size(); i++) population.endpoints[i].workload_id = ids[i];
}

StatusOr<std::shared_ptr<const Population>> Populate(const ResourceMap& resources,
                                                     const std::map<ObjectName, Binding>& bindings,
                                                     std::vector<Address> node_addresses) {
  auto population = std::make_shared<Population>();
  population->resources = resources;
  for (const Kind kind : kPolicyKinds) population->resources.Clear(kind);
  population->bindings = bindings;
  population->node_addresses = std::move(node_addresses);

  std::map<ObjectName, Candidate> candidates;
  for (const auto& [id, resource] : population->resources) {
    if (resource.ns) {
      AddNamespace(*population, resource.ns->name, resource.ns->labels);
    } else if (resource.workload) {
      candidates.insert_or_assign(resource.workload->name, FromWorkload(*resource.workload, bindings));
    } else if (resource.pod && !resource.pod->host_network && !resource.pod->finished) {  // 15, 18
      candidates.try_emplace(resource.pod->name, FromPod(*resource.pod));
    }
    if (!resource.ns) AddNamespace(*population, id.name.ns, {});
  }
  std::vector<Origin> origins;
  for (auto& [name, candidate] : candidates) {
    candidate.endpoint.namespace_labels = &population->namespaces.at(name.ns);
    population->endpoints.push_back(std::move(candidate.endpoint));
    origins.push_back(std::move(candidate.origin));
  }
  SL_RETURN_IF_ERROR(ShareOutAddresses(origins, *population));
  NumberWorkloads(origins, *population);
  return population;
}

bool IsOf(const Population& population, const ResourceMap& resources, const std::map<ObjectName, Binding>& bindings,
          const std::vector<Address>& node_addresses) {
  for (const Kind kind : {Kind::kNamespace, Kind::kPod, Kind::kWorkload}) {
    if (!population.resources.Shares(kind, resources)) return false;
  }
  return population.bindings == bindings && population.node_addresses == node_addresses;
}

}  // namespace

StatusOr<std::shared_ptr<const Snapshot>> Snapshot::Build(const ResourceMap& resources,
                                                          const std::map<ObjectName, Binding>& bindings,
                                                          std::vector<Address> node_addresses,
                                                          const Snapshot* previous) {
  std::sort(node_addresses.begin(), node_addresses.end());
  node_addresses.erase(std::unique(node_addresses.begin(), node_addresses.end()), node_addresses.end());
  std::shared_ptr<const Population> population;
  if (previous != nullptr && IsOf(*previous->population, resources, bindings, node_addresses)) {
    population = previous->population;
  } else {
    SL_ASSIGN_OR_RETURN(population, Populate(resources, bindings, std::move(node_addresses)));
  }
  auto snapshot = std::make_shared<Snapshot>(std::move(population));
  for (const Kind kind : kPolicyKinds) {
    for (const auto& [id, resource] : resources.of(kind)) snapshot->policies.push_back(resource.policy);
  }
  std::sort(snapshot->policies.begin(), snapshot->policies.end(),
            [](const auto& a, const auto& b) { return std::tie(a->name, a->api) < std::tie(b->name, b->api); });
  return snapshot;
}

const Endpoint* Population::Find(const Address& address) const {
  const auto found = by_address.find(address);
  return found == by_address.end() ? nullptr : &endpoints[found->second];
}

const Endpoint* Population::FindByName(const ObjectName& name) const {
  const auto found = std::lower_bound(endpoints.begin(), endpoints.end(), name,
                                      [](const Endpoint& endpoint, const ObjectName& n) { return endpoint.name < n; });
  return found == endpoints.end() || found->name != name ? nullptr : &*found;
}

bool Population::IsNode(const Address& address) const {
  return std::binary_search(node_addresses.begin(), node_addresses.end(), address);
}

}  // namespace sluice::policy
