#include "policy/network/snapshot.h"

#include <algorithm>
#include <tuple>

#include "policy/network/stable_id.h"

namespace sluice::policy {
namespace {

constexpr char kNameLabel[] = "kubernetes.io/metadata.name";

// One population from its resources. What is the same in `previous` is shared with it.
class Populator {
 public:
  Populator(const ResourceMap& resources, const std::map<ObjectName, Binding>& bindings,
            std::vector<Address> node_addresses, const Population* previous)
      : previous_(previous), population_(std::make_shared<Population>()) {
    population_->resources = resources;
    for (const Kind kind : kPolicyKinds) population_->resources.Clear(kind);
    population_->bindings = bindings;
    population_->node_addresses = std::move(node_addresses);
  }

  // Call once.
  StatusOr<std::shared_ptr<const Population>> Populate() {
    AddNamespaces();
    FindOrigins();
    FindBefore();
    SL_RETURN_IF_ERROR(ShareOutAddresses());
    MakeEndpoints();
    return population_;
  }

 private:
  static constexpr std::uint32_t kNone = UINT32_MAX;

  // An address that an endpoint would have.
  struct Claim {
    Address ip;
    bool of_pod;
    std::uint32_t origin;
    std::uint32_t place;  // in the order of endpoints and of their addresses
    auto Rank() const { return std::tie(ip, of_pod, place); }
  };

  void AddNamespaces();
  void AddNamespace(const std::string& name, Labels labels);
  void FindOrigins();
  void FindBefore();
  Status ShareOutAddresses();
  void MakeEndpoints();
  bool IsAsBefore(std::uint32_t origin, std::uint32_t id) const;
  Endpoint Make(std::uint32_t origin, std::uint32_t id) const;

  const ObjectName& NameOf(const EndpointOrigin& origin) const {
    return origin.workload != nullptr ? origin.workload->name : origin.pod->name;
  }
  const Binding* BindingOf(const EndpointOrigin& origin) const {  // null: not local
    if (origin.workload == nullptr) return nullptr;
    const auto binding = population_->bindings.find(origin.workload->name);
    return binding == population_->bindings.end() ? nullptr : &binding->second;
  }
  const std::vector<Address>& Claimed(const EndpointOrigin& origin) const {
    if (origin.workload == nullptr) return origin.pod->ips;
    const Binding* const binding = BindingOf(origin);
    return binding != nullptr ? binding->ips : origin.workload->ips;
  }

  const Population* const previous_;  // null: none
  const std::shared_ptr<Population> population_;
  std::vector<std::uint32_t> before_;  // by origin: the endpoint of that name in previous_, or kNone
  std::vector<std::shared_ptr<const Labels>> of_namespace_;  // by origin
  std::vector<std::uint32_t> first_place_;                   // by origin, and the end
  std::vector<bool> is_lost_;                                // by place: another endpoint or the node has the address
};

void Populator::AddNamespace(const std::string& name, Labels labels) {
  labels[kNameLabel] = name;  // 10
  std::shared_ptr<const Labels> shared;
  if (previous_ != nullptr) {
    const auto before = previous_->namespaces.find(name);
    if (before != previous_->namespaces.end() && *before->second == labels) shared = before->second;
  }
  population_->namespaces[name] = shared ? shared : std::make_shared<const Labels>(std::move(labels));
}

// Those of Namespaces first: their labels count.
void Populator::AddNamespaces() {
  const ResourceMap& resources = population_->resources;
  for (const auto& [id, resource] : resources.of(Kind::kNamespace))
    AddNamespace(resource.ns->name, resource.ns->labels);
  for (const Kind kind : {Kind::kPod, Kind::kWorkload}) {
    const std::string* last = nullptr;
    for (const auto& [id, resource] : resources.of(kind)) {
      if (last != nullptr && *last == id.name.ns) continue;
      last = &id.name.ns;
      if (!population_->namespaces.contains(*last)) AddNamespace(*last, {});
    }
  }
}

// In the order of names. A Workload wins over a Pod of its name.
void Populator::FindOrigins() {
  const auto& workloads = population_->resources.of(Kind::kWorkload);
  const auto& pods = population_->resources.of(Kind::kPod);
  population_->origins.reserve(workloads.size() + pods.size());
  auto workload = workloads.begin();
  for (auto pod = pods.begin(); pod != pods.end() || workload != workloads.end();) {
    if (pod != pods.end() && (pod->second.pod->host_network || pod->second.pod->finished)) {  // 15, 18
      ++pod;
      continue;
    }
    const bool is_pod = workload == workloads.end() || (pod != pods.end() && pod->first.name < workload->first.name);
    if (is_pod) {
      population_->origins.push_back({.pod = pod->second.pod.get()});
      ++pod;
      continue;
    }
    if (pod != pods.end() && pod->first.name == workload->first.name) ++pod;
    population_->origins.push_back({.workload = workload->second.workload.get()});
    ++workload;
  }
}

// Fills in what depends on one endpoint alone.
void Populator::FindBefore() {
  std::uint32_t before = 0;
  const auto is_same = [&](const EndpointOrigin& a, const EndpointOrigin& b) {
    return a.workload == b.workload && a.pod == b.pod;
  };
  for (EndpointOrigin& origin : population_->origins) {
    const ObjectName& name = NameOf(origin);
    std::uint32_t found = kNone;
    if (previous_ != nullptr) {
      const auto size = static_cast<std::uint32_t>(previous_->origins.size());
      while (before < size && !is_same(previous_->origins[before], origin) &&
             previous_->endpoints[before].name < name) {
        ++before;
      }
      if (before < size && is_same(previous_->origins[before], origin)) found = before++;
    }
    before_.push_back(found);
    const bool same_namespace = found != kNone && !of_namespace_.empty() &&
                                of_namespace_.back() == previous_->endpoints[found].namespace_labels;
    of_namespace_.push_back(same_namespace ? of_namespace_.back() : population_->namespaces.at(name.ns));
    if (found != kNone) {
      origin.name_hash = previous_->origins[found].name_hash;
    } else {
      const std::string uid = origin.pod != nullptr ? origin.pod->uid : "";
      origin.name_hash = StableHash(CanonicalKey().Add(name.ns).Add(name.name).Add(uid).bytes());
    }
  }
}

// Each address goes to one endpoint: to a Workload before a Pod, then to the first by name.
Status Populator::ShareOutAddresses() {
  std::vector<Claim> claims;
  const auto& origins = population_->origins;
  for (std::uint32_t i = 0; i < origins.size(); i++) {
    first_place_.push_back(static_cast<std::uint32_t>(is_lost_.size()));
    const bool of_pod = origins[i].workload == nullptr;
    for (const Address& ip : Claimed(origins[i])) {
      const bool is_node = of_pod && population_->IsNode(ip);  // 15: an address of this node belongs to no pod
      if (!is_node) claims.push_back({ip, of_pod, i, static_cast<std::uint32_t>(is_lost_.size())});
      is_lost_.push_back(is_node);
    }
  }
  first_place_.push_back(static_cast<std::uint32_t>(is_lost_.size()));
  std::sort(claims.begin(), claims.end(), [](const Claim& a, const Claim& b) { return a.Rank() < b.Rank(); });

  FlatMap<Address, std::uint32_t>::Entries by_address;
  by_address.reserve(claims.size());
  const Claim* conflict = nullptr;
  for (const Claim& claim : claims) {
    if (by_address.empty() || by_address.back().first != claim.ip) {
      by_address.emplace_back(claim.ip, claim.origin);
      continue;
    }
    is_lost_[claim.place] = true;
    const bool is_conflict = !claim.of_pod && by_address.back().second != claim.origin;
    if (is_conflict && (conflict == nullptr || claim.place < conflict->place)) conflict = &claim;
  }
  population_->by_address = FlatMap<Address, std::uint32_t>(std::move(by_address));
  if (conflict == nullptr) return OkStatus();
  return InvalidError("Workload {} and Workload {} both have the address {}: give each its own",
                      NameOf(origins[population_->by_address.at(conflict->ip)]).ToString(),
                      NameOf(origins[conflict->origin]).ToString(), conflict->ip.ToString());
}

// Whether the endpoint would be the same as in previous_.
bool Populator::IsAsBefore(std::uint32_t origin, std::uint32_t id) const {
  if (before_[origin] == kNone) return false;
  const Endpoint& before = previous_->endpoints[before_[origin]];
  const Binding* const binding = BindingOf(population_->origins[origin]);
  if (before.workload_id != id || before.namespace_labels != of_namespace_[origin]) return false;
  if (before.ifindex != (binding != nullptr ? binding->ifindex : 0)) return false;
  if (before.endpoint != (binding != nullptr ? binding->endpoint : 0)) return false;
  const std::vector<Address>& claimed = Claimed(population_->origins[origin]);
  auto had = before.ips.begin();
  for (std::size_t i = 0; i < claimed.size(); i++) {
    if (is_lost_[first_place_[origin] + i]) continue;
    if (had == before.ips.end() || *had != claimed[i]) return false;
    ++had;
  }
  return had == before.ips.end();
}

Endpoint Populator::Make(std::uint32_t origin, std::uint32_t id) const {
  const auto& [workload, pod, hash] = population_->origins[origin];
  Endpoint endpoint{.name = NameOf(population_->origins[origin]),
                    .workload_id = id,
                    .labels = workload != nullptr ? workload->labels : pod->labels,
                    .namespace_labels = of_namespace_[origin],
                    .ports = workload != nullptr ? workload->ports : pod->ports,
                    .owner = workload != nullptr ? workload->owner : pod->owner};
  const std::vector<Address>& claimed = Claimed(population_->origins[origin]);
  for (std::size_t i = 0; i < claimed.size(); i++) {
    if (!is_lost_[first_place_[origin] + i]) endpoint.ips.push_back(claimed[i]);
  }
  if (const Binding* const binding = BindingOf(population_->origins[origin]); binding != nullptr) {
    endpoint.ifindex = binding->ifindex;
    endpoint.endpoint = binding->endpoint;
  }
  return endpoint;
}

void Populator::MakeEndpoints() {
  std::vector<std::uint64_t> hashes;
  hashes.reserve(population_->origins.size());
  for (const EndpointOrigin& origin : population_->origins) hashes.push_back(origin.name_hash);
  const std::vector<std::uint32_t> ids = AssignStableIds(hashes, {});
  EndpointList::Pointers endpoints;
  endpoints.reserve(ids.size());
  for (std::uint32_t i = 0; i < ids.size(); i++) {
    endpoints.push_back(IsAsBefore(i, ids[i]) ? previous_->endpoints.pointers()[before_[i]]
                                              : std::make_shared<const Endpoint>(Make(i, ids[i])));
    if (endpoints.back()->ifindex != 0) population_->locals.push_back(i);
  }
  population_->endpoints = EndpointList(std::move(endpoints));
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
    SL_ASSIGN_OR_RETURN(population, Populator(resources, bindings, std::move(node_addresses),
                                              previous != nullptr ? previous->population.get() : nullptr)
                                        .Populate());
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
  const auto& all = endpoints.pointers();
  const auto found = std::lower_bound(all.begin(), all.end(), name,
                                      [](const auto& endpoint, const ObjectName& n) { return endpoint->name < n; });
  return found == all.end() || (*found)->name != name ? nullptr : found->get();
}

bool Population::IsNode(const Address& address) const {
  return std::binary_search(node_addresses.begin(), node_addresses.end(), address);
}

}  // namespace sluice::policy
