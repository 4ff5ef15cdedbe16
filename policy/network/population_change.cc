#include "policy/network/population_change.h"

#include <algorithm>
#include <set>
#include <utility>

namespace sluice::policy {
namespace {

constexpr std::size_t kMostChanges = 256;  // looking up more than that costs as much as a pass over all
constexpr std::uint32_t kNone = UINT32_MAX;

bool IsFrom(const EndpointOrigin& origin) { return origin.workload != nullptr || origin.pod != nullptr; }

// What endpoints are made from is immutable, so pointers identify it.
bool IsSame(const Resource* a, const Resource* b) {
  return a != nullptr && b != nullptr && a->pod == b->pod && a->workload == b->workload;
}

class PopulationChange {
 public:
  PopulationChange(const Population& before, const PopulationInput& input)
      : before_(before), input_(input), now_(std::make_shared<Population>()) {}

  // Call once. Null: as Change.
  std::shared_ptr<const Population> Make() {
    const bool is_of_all = before_.node_addresses != input_.node_addresses ||
                           !before_.resources.Shares(Kind::kNamespace, input_.resources);
    if (is_of_all || !FindNames()) return nullptr;
    for (const ObjectName& name : names_) FindEndpoint(name);
    if (!FindClaims()) return nullptr;
    Begin();
    MoveOthers();
    if (!MoveAddresses()) return nullptr;
    ChangeNamespaces();
    MakeEndpoints();
    return now_;
  }

 private:
  // An endpoint that comes, goes or is another.
  struct One {
    std::uint32_t place = 0;     // in before_: its own, or of the first one behind it
    bool was_there = false;      // at `place`
    EndpointOrigin origin;       // now; of nothing: it has gone
    std::uint32_t now = kNone;   // its place in now_
    std::vector<Address> ips{};  // now
  };
  struct Claim {
    Address ip;
    std::size_t one;  // in changed_
  };

  bool FindNames();
  void FindEndpoint(const ObjectName& name);
  bool FindClaims();
  void Begin();
  void MoveOthers();
  bool MoveAddresses();
  void ChangeNamespaces();
  void MakeEndpoints();
  bool IsContested(const Address& ip) const {
    return std::binary_search(before_.contested.begin(), before_.contested.end(), ip);
  }
  bool IsAnybodyIn(const std::string& ns) const;

  const Population& before_;
  const PopulationInput& input_;
  const std::shared_ptr<Population> now_;
  std::set<ObjectName> names_;        // of resources and bindings that differ
  std::vector<One> changed_;          // in the order of names
  std::vector<Address> gone_;         // sorted: what those of changed_ had
  std::vector<Claim> claims_;         // sorted by address: what those of changed_ have now
  std::vector<std::uint32_t> moved_;  // by place in before_: the place in now_; kNone: it is one of changed_
};

// False: too many.
bool PopulationChange::FindNames() {
  const auto add = [&](const ResourceId& id, const Resource* before, const Resource* now) {
    if (!IsSame(before, now)) names_.insert(id.name);
    return names_.size() > kMostChanges;
  };
  for (const Kind kind : {Kind::kPod, Kind::kWorkload}) {
    if (before_.resources.of(kind).AnyUnshared(input_.resources.of(kind), add)) return false;
  }
  for (const auto& [name, binding] : input_.bindings) {
    const auto known = before_.bindings.find(name);
    if (known == before_.bindings.end() || known->second != binding) names_.insert(name);
  }
  for (const auto& [name, binding] : before_.bindings) {
    if (!input_.bindings.contains(name)) names_.insert(name);
  }
  return names_.size() <= kMostChanges;
}

void PopulationChange::FindEndpoint(const ObjectName& name) {
  const auto& all = before_.endpoints.pointers();
  const auto at = std::lower_bound(all.begin(), all.end(), name,
                                   [](const auto& endpoint, const ObjectName& n) { return endpoint->name < n; });
  One one{.place = static_cast<std::uint32_t>(at - all.begin()),
          .was_there = at != all.end() && (*at)->name == name,
          .origin = {}};
  const auto workload = input_.resources.find({Kind::kWorkload, name});
  const auto pod = input_.resources.find({Kind::kPod, name});
  if (workload != input_.resources.end()) {
    one.origin.workload = workload->second.workload.get();
  } else if (pod != input_.resources.end() && IsEndpoint(pod->second)) {
    one.origin.pod = pod->second.pod.get();
  }
  if (IsFrom(one.origin)) one.origin.name_hash = NameHash(one.origin);
  changed_.push_back(std::move(one));
}

// False: several endpoints claim one of the addresses.
bool PopulationChange::FindClaims() {
  for (std::size_t i = 0; i < changed_.size(); i++) {
    One& one = changed_[i];
    if (one.was_there) {
      const EndpointOrigin& origin = before_.origins[one.place];
      for (const Address& ip : ClaimedBy(origin, BindingOf(origin, before_.bindings))) gone_.push_back(ip);
    }
    if (!IsFrom(one.origin)) continue;
    one.ips = ClaimedBy(one.origin, BindingOf(one.origin, input_.bindings));
    for (const Address& ip : one.ips) {
      if (one.origin.workload == nullptr && before_.IsNode(ip)) return false;
      claims_.push_back({ip, i});
    }
  }
  std::sort(gone_.begin(), gone_.end());
  std::sort(claims_.begin(), claims_.end(), [](const Claim& a, const Claim& b) { return a.ip < b.ip; });
  const auto is_twice = [](const Claim& a, const Claim& b) { return a.ip == b.ip; };
  return std::none_of(gone_.begin(), gone_.end(), [&](const Address& ip) { return IsContested(ip); }) &&
         std::none_of(claims_.begin(), claims_.end(), [&](const Claim& claim) { return IsContested(claim.ip); }) &&
         std::adjacent_find(claims_.begin(), claims_.end(), is_twice) == claims_.end();
}

void PopulationChange::Begin() {
  now_->namespaces = before_.namespaces;
  now_->contested = before_.contested;
  now_->node_addresses = before_.node_addresses;
  now_->resources = input_.resources;
  for (const Kind kind : kPolicyKinds) now_->resources.Clear(kind);
  now_->bindings = input_.bindings;
}

// Gives all their places.
void PopulationChange::MoveOthers() {
  const auto size = static_cast<std::uint32_t>(before_.origins.size());
  now_->origins.reserve(size + changed_.size());
  moved_.resize(size, kNone);
  std::uint32_t next = 0;
  const auto move_until = [&](std::uint32_t end) {
    for (; next < end; next++) {
      moved_[next] = static_cast<std::uint32_t>(now_->origins.size());
      now_->origins.push_back(before_.origins[next]);
    }
  };
  for (One& one : changed_) {
    move_until(one.place);
    if (one.was_there) next++;
    if (!IsFrom(one.origin)) continue;
    one.now = static_cast<std::uint32_t>(now_->origins.size());
    now_->origins.push_back(one.origin);
  }
  move_until(size);
}

// False: another endpoint has one of the addresses.
bool PopulationChange::MoveAddresses() {
  FlatMap<Address, std::uint32_t>::Entries entries;
  entries.reserve(before_.by_address.size() + claims_.size());
  auto gone = gone_.begin();
  auto claim = claims_.begin();
  const auto add_claims = [&](const Address* end) {
    for (; claim != claims_.end() && (end == nullptr || claim->ip < *end); ++claim)
      entries.emplace_back(claim->ip, changed_[claim->one].now);
  };
  for (const auto& [ip, place] : before_.by_address) {
    add_claims(&ip);
    if (gone != gone_.end() && *gone == ip) {
      ++gone;
      continue;
    }
    if (claim != claims_.end() && claim->ip == ip) return false;
    entries.emplace_back(ip, moved_[place]);
  }
  add_claims(nullptr);
  now_->by_address = FlatMap<Address, std::uint32_t>(std::move(entries));
  return true;
}

// Also pods that are no endpoints imply their namespace.
bool PopulationChange::IsAnybodyIn(const std::string& ns) const {
  for (const Kind kind : {Kind::kPod, Kind::kWorkload}) {
    const auto& all = input_.resources.of(kind);
    const auto first = all.lower_bound({kind, {ns, ""}});
    if (first != all.end() && first->first.name.ns == ns) return true;
  }
  return false;
}

void PopulationChange::ChangeNamespaces() {
  for (const ObjectName& name : names_) {
    if (input_.resources.contains({Kind::kNamespace, {"", name.ns}})) continue;
    const bool is_there = now_->namespaces.contains(name.ns);
    if (is_there == IsAnybodyIn(name.ns)) continue;
    if (is_there) {
      now_->namespaces.erase(name.ns);
    } else {
      now_->namespaces.Put(name.ns, std::make_shared<const Labels>(WithName({}, name.ns)));
    }
  }
}

void PopulationChange::MakeEndpoints() {
  const std::vector<std::uint32_t> ids = WorkloadIds(now_->origins);
  EndpointList::Pointers endpoints(ids.size());
  const auto& others = before_.endpoints.pointers();
  for (std::size_t i = 0; i < others.size(); i++) {
    if (moved_[i] != kNone) endpoints[moved_[i]] = others[i];
  }
  for (std::size_t i = 0; i < ids.size(); i++) {
    if (std::exchange(now_->origins[i].workload_id, ids[i]) == ids[i] || endpoints[i] == nullptr) continue;
    Endpoint renumbered = *endpoints[i];
    renumbered.workload_id = ids[i];
    endpoints[i] = std::make_shared<const Endpoint>(std::move(renumbered));
  }
  for (const std::uint32_t local : before_.locals) {
    if (moved_[local] != kNone) now_->locals.push_back(moved_[local]);
  }
  for (One& one : changed_) {
    if (one.now == kNone) continue;
    const EndpointOrigin& origin = now_->origins[one.now];
    endpoints[one.now] = std::make_shared<const Endpoint>(MakeEndpoint(
        origin, BindingOf(origin, now_->bindings), now_->namespaces.at(origin.name().ns), std::move(one.ips)));
    if (endpoints[one.now]->ifindex != 0) now_->locals.push_back(one.now);
  }
  std::sort(now_->locals.begin(), now_->locals.end());
  now_->endpoints = EndpointList(std::move(endpoints));
}

}  // namespace

std::shared_ptr<const Population> Change(const Population& before, const PopulationInput& input) {
  return PopulationChange(before, input).Make();
}

}  // namespace sluice::policy
