#include "policy/network/populate.h"

#include <algorithm>
#include <tuple>

namespace sluice::policy {
namespace {

// One population from its resources. What is the same in `previous` is shared with it.
class Populator {
 public:
  Populator(const PopulationInput& input, const Population* previous)
      : previous_(previous), population_(std::make_shared<Population>()) {
    population_->resources = input.resources;
    for (const Kind kind : kPolicyKinds) population_->resources.Clear(kind);
    population_->bindings = input.bindings;
    population_->node_addresses = input.node_addresses;
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
  bool IsAsBefore(std::uint32_t origin) const;
  Endpoint Make(std::uint32_t origin) const;

  const Binding* BindingOf(const EndpointOrigin& origin) const {
    return policy::BindingOf(origin, population_->bindings);
  }
  const std::vector<Address>& Claimed(const EndpointOrigin& origin) const {
    return ClaimedBy(origin, BindingOf(origin));
  }

  const Population* const previous_;  // null: none
  const std::shared_ptr<Population> population_;
  std::vector<std::uint32_t> before_;  // by origin: the endpoint of that name in previous_, or kNone
  std::vector<std::shared_ptr<const Labels>> of_namespace_;  // by origin
  std::vector<std::uint32_t> first_place_;                   // by origin, and the end
  std::vector<bool> is_lost_;                                // by place: another endpoint or the node has the address
};

void Populator::AddNamespace(const std::string& name, Labels labels) {
  labels = WithName(std::move(labels), name);
  std::shared_ptr<const Labels> shared;
  if (previous_ != nullptr) {
    const auto before = previous_->namespaces.find(name);
    if (before != previous_->namespaces.end() && *before->second == labels) shared = before->second;
  }
  population_->namespaces.Put(name, shared ? shared : std::make_shared<const Labels>(std::move(labels)));
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
    if (pod != pods.end() && !IsEndpoint(pod->second)) {
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
    const ObjectName& name = origin.name();
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
    origin.name_hash = found != kNone ? previous_->origins[found].name_hash : NameHash(origin);
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
      if (is_node) {
        population_->contested.push_back(ip);
      } else {
        claims.push_back({ip, of_pod, i, static_cast<std::uint32_t>(is_lost_.size())});
      }
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
    population_->contested.push_back(claim.ip);
    const bool is_conflict = !claim.of_pod && by_address.back().second != claim.origin;
    if (is_conflict && (conflict == nullptr || claim.place < conflict->place)) conflict = &claim;
  }
  population_->by_address = FlatMap<Address, std::uint32_t>(std::move(by_address));
  std::sort(population_->contested.begin(), population_->contested.end());
  if (conflict == nullptr) return OkStatus();
  return InvalidError("Workload {} and Workload {} both have the address {}: give each its own",
                      origins[population_->by_address.at(conflict->ip)].name().ToString(),
                      origins[conflict->origin].name().ToString(), conflict->ip.ToString());
}

// Whether the endpoint would be the same as in previous_.
bool Populator::IsAsBefore(std::uint32_t origin) const {
  if (before_[origin] == kNone) return false;
  const Endpoint& before = previous_->endpoints[before_[origin]];
  const Binding* const binding = BindingOf(population_->origins[origin]);
  if (before.workload_id != population_->origins[origin].workload_id ||
      before.namespace_labels != of_namespace_[origin])
    return false;
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

Endpoint Populator::Make(std::uint32_t origin) const {
  const std::vector<Address>& claimed = Claimed(population_->origins[origin]);
  std::vector<Address> ips;
  for (std::size_t i = 0; i < claimed.size(); i++) {
    if (!is_lost_[first_place_[origin] + i]) ips.push_back(claimed[i]);
  }
  return MakeEndpoint(population_->origins[origin], BindingOf(population_->origins[origin]), of_namespace_[origin],
                      std::move(ips));
}

void Populator::MakeEndpoints() {
  const std::vector<std::uint32_t> ids = WorkloadIds(population_->origins);
  EndpointList::Pointers endpoints;
  endpoints.reserve(ids.size());
  for (std::uint32_t i = 0; i < ids.size(); i++) {
    population_->origins[i].workload_id = ids[i];
    endpoints.push_back(IsAsBefore(i) ? previous_->endpoints.pointers()[before_[i]]
                                      : std::make_shared<const Endpoint>(Make(i)));
    if (endpoints.back()->ifindex != 0) population_->locals.push_back(i);
  }
  population_->endpoints = EndpointList(std::move(endpoints));
}

}  // namespace

StatusOr<std::shared_ptr<const Population>> Populate(const PopulationInput& input, const Population* previous) {
  return Populator(input, previous).Populate();
}

}  // namespace sluice::policy
