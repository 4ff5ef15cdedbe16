#include "policy/snapshot.h"

#include <algorithm>

#include "policy/stable_id.h"

namespace sluice::policy {
namespace {

constexpr char kNameLabel[] = "kubernetes.io/metadata.name";

// Where an endpoint came from, while the snapshot is being built.
struct Origin {
  bool workload = false;
  std::string uid;
};

struct Candidate {
  Endpoint endpoint;
  Origin origin;
};

void AddNamespace(Snapshot& snapshot, const std::string& name, const Labels& labels) {
  Labels& known = snapshot.namespaces[name];
  known.insert(labels.begin(), labels.end());
  known[kNameLabel] = name;  // 10
}

Candidate FromWorkload(const Workload& workload, const std::map<ObjectName, Binding>& bindings) {
  Candidate candidate{{.name = workload.name, .labels = workload.labels, .ports = workload.ports, .ips = workload.ips},
                      {.workload = true, .uid = ""}};
  if (const auto binding = bindings.find(workload.name); binding != bindings.end()) {
    candidate.endpoint.ips = binding->second.ips;
    candidate.endpoint.ifindex = binding->second.ifindex;
    candidate.endpoint.endpoint = binding->second.endpoint;
  }
  return candidate;
}

Candidate FromPod(const Pod& pod) {
  return {{.name = pod.name, .labels = pod.labels, .ports = pod.ports, .ips = pod.ips},
          {.workload = false, .uid = pod.uid}};
}

// Gives every address to one endpoint and takes it from the others.
Status ShareOutAddresses(const std::vector<Origin>& origins, Snapshot& snapshot) {
  for (const bool workloads : {true, false}) {
    for (std::size_t i = 0; i < origins.size(); i++) {
      if (origins[i].workload != workloads) continue;
      std::vector<Address> own;
      for (const Address& ip : snapshot.endpoints[i].ips) {
        if (!workloads && snapshot.IsNode(ip)) continue;  // 15: nobody else has an address of this node
        const auto [at, fresh] = snapshot.by_address.emplace(ip, i);
        if (fresh) {
          own.push_back(ip);
        } else if (workloads && at->second != i) {
          return InvalidError("Workload {} and Workload {} both have the address {}: give each its own",
                              snapshot.endpoints[at->second].name.ToString(), snapshot.endpoints[i].name.ToString(),
                              ip.ToString());
        }
      }
      snapshot.endpoints[i].ips = std::move(own);
    }
  }
  return OkStatus();
}

void NumberWorkloads(const std::vector<Origin>& origins, Snapshot& snapshot) {
  std::vector<std::string> keys;
  for (std::size_t i = 0; i < origins.size(); i++) {
    const ObjectName& name = snapshot.endpoints[i].name;
    keys.push_back(CanonicalKey().Add(name.ns).Add(name.name).Add(origins[i].uid).bytes());
  }
  const std::vector<std::uint32_t> ids = AssignStableIds(keys, {});
  for (std::size_t i = 0; i < ids.size(); i++) snapshot.endpoints[i].workload_id = ids[i];
}

}  // namespace

StatusOr<std::shared_ptr<const Snapshot>> Snapshot::Build(const ResourceMap& resources,
                                                          const std::map<ObjectName, Binding>& bindings,
                                                          std::vector<Address> node_addresses) {
  auto snapshot = std::make_shared<Snapshot>();
  std::sort(node_addresses.begin(), node_addresses.end());
  node_addresses.erase(std::unique(node_addresses.begin(), node_addresses.end()), node_addresses.end());
  snapshot->node_addresses = std::move(node_addresses);

  std::map<ObjectName, Candidate> candidates;
  for (const auto& [id, resource] : resources) {
    if (resource.ns) {
      AddNamespace(*snapshot, resource.ns->name, resource.ns->labels);
    } else if (resource.workload) {
      candidates.insert_or_assign(resource.workload->name, FromWorkload(*resource.workload, bindings));
    } else if (resource.pod && !resource.pod->host_network && !resource.pod->finished) {  // 15, 18
      candidates.try_emplace(resource.pod->name, FromPod(*resource.pod));
    } else if (resource.policy) {
      snapshot->policies.push_back(resource.policy);
    }
    if (!resource.ns) AddNamespace(*snapshot, id.name.ns, {});
  }
  std::sort(snapshot->policies.begin(), snapshot->policies.end(),
            [](const auto& a, const auto& b) { return std::tie(a->name, a->api) < std::tie(b->name, b->api); });

  std::vector<Origin> origins;
  for (auto& [name, candidate] : candidates) {
    candidate.endpoint.namespace_labels = &snapshot->namespaces.at(name.ns);
    snapshot->endpoints.push_back(std::move(candidate.endpoint));
    origins.push_back(std::move(candidate.origin));
  }
  SL_RETURN_IF_ERROR(ShareOutAddresses(origins, *snapshot));
  NumberWorkloads(origins, *snapshot);
  return snapshot;
}

const Endpoint* Snapshot::Find(const Address& address) const {
  const auto found = by_address.find(address);
  return found == by_address.end() ? nullptr : &endpoints[found->second];
}

const Endpoint* Snapshot::FindByName(const ObjectName& name) const {
  const auto found = std::lower_bound(endpoints.begin(), endpoints.end(), name,
                                      [](const Endpoint& endpoint, const ObjectName& n) { return endpoint.name < n; });
  return found == endpoints.end() || found->name != name ? nullptr : &*found;
}

bool Snapshot::IsNode(const Address& address) const {
  return std::binary_search(node_addresses.begin(), node_addresses.end(), address);
}

}  // namespace sluice::policy
