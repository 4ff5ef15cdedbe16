#include "policy/network/identity.h"

#include <algorithm>
#include <array>
#include <string_view>
#include <unordered_map>

#include <fmt/format.h>

#include "policy/network/stable_id.h"

namespace sluice::policy {
namespace {

constexpr IdRange kNumbers = {SL_IDENTITY_FIRST, (1U << SL_IDENTITY_KIND_SHIFT) - SL_IDENTITY_FIRST};

std::uint32_t Number(sl_identity_kind kind, std::uint32_t number) {
  return static_cast<std::uint32_t>(kind) << SL_IDENTITY_KIND_SHIFT | number;
}

sl_identity_kind OutsideKind(bool v4) { return v4 ? SL_KIND_WORLD4 : SL_KIND_WORLD6; }

void AddKeys(const Selector& selector, std::set<std::string>& keys) {
  for (const Selector::Requirement& requirement : selector.requirements) keys.insert(requirement.key);
}

std::vector<NamedPort> SortedPorts(const Endpoint& endpoint) {
  std::vector<NamedPort> ports = endpoint.ports;
  std::sort(ports.begin(), ports.end());
  ports.erase(std::unique(ports.begin(), ports.end()), ports.end());
  return ports;
}

void AddLabels(CanonicalKey& key, const Labels& labels) {
  key.Add(labels.size());
  for (const auto& [name, value] : labels) key.Add(name).Add(value);
}

}  // namespace

Interest::Interest(const std::vector<std::shared_ptr<const NetworkPolicy>>& policies) {
  const auto add_prefix = [&](const Prefix& p) { (p.is_v4() ? prefixes4 : prefixes6).push_back(p); };
  for (const auto& policy : policies) {
    AddKeys(policy->pod_selector, label_keys);
    for (const Direction direction : {Direction::kIngress, Direction::kEgress}) {
      if (!policy->AppliesTo(direction)) continue;
      for (const Rule& rule : policy->rules(direction)) {
        for (const Peer& peer : rule.peers) {
          if (peer.pod_selector) AddKeys(*peer.pod_selector, label_keys);
          if (!peer.ip_block) continue;
          add_prefix(peer.ip_block->cidr);
          for (const Prefix& hole : peer.ip_block->except) add_prefix(hole);
        }
      }
    }
  }
  for (auto* list : {&prefixes4, &prefixes6}) {
    std::sort(list->begin(), list->end());
    list->erase(std::unique(list->begin(), list->end()), list->end());
  }
}

bool IdentityTable::IsChurn(const std::string& key) {
  static const std::set<std::string> kChurn = {"apps.kubernetes.io/pod-index",
                                               "batch.kubernetes.io/controller-uid",
                                               "batch.kubernetes.io/job-completion-index",
                                               "controller-revision-hash",
                                               "controller-uid",
                                               "pod-template-generation",
                                               "pod-template-hash",
                                               "statefulset.kubernetes.io/pod-name"};
  return kChurn.contains(key);
}

Labels IdentityTable::Relevant(const Labels& labels) const {
  Labels kept;
  for (const auto& label : labels) {
    if (!IsChurn(label.first) || selected_churn_.contains(label.first)) kept.insert(kept.end(), label);
  }
  return kept;
}

IdentityTable::PodClass IdentityTable::ClassOf(const Endpoint& pod) const {
  PodClass made{.key = "", .ports = SortedPorts(pod)};
  CanonicalKey key;
  key.Add(pod.name.ns);
  AddLabels(key, *pod.namespace_labels);
  AddLabels(key, Relevant(pod.labels));
  key.Add(made.ports.size());
  for (const NamedPort& port : made.ports) key.Add(port.name).Add(port.port).Add(port.protocol);
  made.key = key.bytes();
  return made;
}

// Endpoints are immutable, so those that both populations share are of the class that they were of.
void IdentityTable::FindClasses(const Population& population, const Before* before) {
  constexpr std::uint32_t kUnknown = UINT32_MAX;
  if (before != nullptr && before->identities.selected_churn_ != selected_churn_) before = nullptr;
  std::unordered_map<std::string_view, std::uint32_t> by_key;
  const auto intern = [&](std::shared_ptr<const PodClass> one) {
    const auto [at, fresh] = by_key.try_emplace(one->key, static_cast<std::uint32_t>(classes_.size()));
    if (fresh) classes_.push_back(std::move(one));
    return at->second;
  };
  const EndpointList::Pointers none;
  const auto& known = before != nullptr ? before->population.endpoints.pointers() : none;
  std::vector<std::uint32_t> renumbered(before != nullptr ? before->identities.classes_.size() : 0, kUnknown);
  auto old = known.begin();
  class_by_endpoint_.reserve(population.endpoints.size());
  for (const auto& pod : population.endpoints.pointers()) {
    while (old != known.end() && *old != pod && (*old)->name < pod->name) ++old;
    if (old == known.end() || *old != pod) {
      class_by_endpoint_.push_back(intern(std::make_shared<const PodClass>(ClassOf(*pod))));
      continue;
    }
    const std::uint32_t number = before->identities.class_by_endpoint_[static_cast<std::size_t>(old - known.begin())];
    if (renumbered[number] == kUnknown) renumbered[number] = intern(before->identities.classes_[number]);
    class_by_endpoint_.push_back(renumbered[number]);
    ++old;
  }
}

void IdentityTable::AddPlain(sl_identity_kind kind) {
  const auto index = static_cast<std::uint32_t>(identities_.size());
  kinds_[kind] = {index, index + 1};
  identities_.push_back({.kind = kind, .id = Number(kind, SL_IDENTITY_PLAIN), .plain = true});
}

void IdentityTable::AddOutside(sl_identity_kind kind, const std::vector<Prefix>& prefixes) {
  AddPlain(kind);
  const std::uint32_t plain = kinds_[kind].begin;
  parents_.push_back(plain);
  std::vector<std::string> keys;
  for (const Prefix& prefix : prefixes) keys.push_back(prefix.ToString());
  const std::vector<std::uint32_t> numbers = AssignStableIds(keys, kNumbers);
  for (std::size_t i = 0; i < prefixes.size(); i++) {
    const auto index = static_cast<std::uint32_t>(identities_.size());
    // In sorted order, the next shorter prefix around this one is the previous prefix or one of that one's parents.
    std::uint32_t parent = index - 1;
    while (parent != plain && !identities_[parent].prefix->Contains(prefixes[i])) parent = parents_[parent];
    parents_.push_back(parent);
    identities_.push_back({.kind = kind, .id = Number(kind, numbers[i]), .prefix = prefixes[i], .prefix_index = index});
  }
  kinds_[kind].end = static_cast<std::uint32_t>(identities_.size());
}

// `after`: index of the first prefix that is sorted behind the address.
std::uint32_t IdentityTable::LongestAround(const Address& address, std::uint32_t after) const {
  const std::uint32_t plain = kinds_[OutsideKind(address.is_v4())].begin;
  std::uint32_t index = after - 1;
  while (index != plain && !identities_[index].prefix->Contains(address)) index = parents_[index];
  return index;
}

std::uint32_t IdentityTable::LongestAround(const Address& address) const {
  const Range range = kinds_[OutsideKind(address.is_v4())];
  const auto first = identities_.begin() + range.begin + 1, last = identities_.begin() + range.end;
  const auto after = std::upper_bound(first, last, Prefix::Host(address),
                                      [](const Prefix& p, const Identity& identity) { return p < *identity.prefix; });
  return LongestAround(address, static_cast<std::uint32_t>(after - identities_.begin()));
}

Range IdentityTable::Within(const Prefix& cidr) const {
  const Range range = kinds_[OutsideKind(cidr.is_v4())];
  const auto first = identities_.begin() + range.begin + 1, last = identities_.begin() + range.end;
  const auto begin = std::partition_point(first, last, [&](const Identity& i) { return *i.prefix < cidr; });
  const auto end = std::partition_point(begin, last, [&](const Identity& i) { return cidr.Contains(*i.prefix); });
  return {static_cast<std::uint32_t>(begin - identities_.begin()),
          static_cast<std::uint32_t>(end - identities_.begin())};
}

void IdentityTable::AddNode(const Population& population) {
  AddPlain(SL_KIND_NODE);
  const std::uint32_t plain = kinds_[SL_KIND_NODE].begin;
  std::map<std::uint32_t, std::vector<Address>> by_prefix;  // by outside index
  for (const Address& ip : population.node_addresses) {
    if (population.Find(ip)) continue;  // a workload has this address
    const std::uint32_t around = LongestAround(ip);
    if (identities_[around].plain) {
      by_node_address_.emplace(ip, plain);
    } else {
      by_prefix[around].push_back(ip);
    }
  }
  std::vector<std::string> keys;
  for (const auto& [around, ips] : by_prefix) keys.push_back(identities_[around].prefix->ToString());
  const std::vector<std::uint32_t> numbers = AssignStableIds(keys, kNumbers);
  std::size_t next = 0;
  for (const auto& [around, ips] : by_prefix) {
    for (const Address& ip : ips) by_node_address_.emplace(ip, static_cast<std::uint32_t>(identities_.size()));
    identities_.push_back({.kind = SL_KIND_NODE,
                           .id = Number(SL_KIND_NODE, numbers[next++]),
                           .prefix = identities_[around].prefix,
                           .prefix_index = around});
  }
  kinds_[SL_KIND_NODE].end = static_cast<std::uint32_t>(identities_.size());
}

// Those of the same policies, which are most of a table of many prefixes.
void IdentityTable::CopyOutside(const IdentityTable& before) {
  const std::uint32_t end = before.kinds_[SL_KIND_WORLD6].end;
  identities_.assign(before.identities_.begin(), before.identities_.begin() + end);
  for (const sl_identity_kind kind : {SL_KIND_WORLD4, SL_KIND_WORLD6}) kinds_[kind] = before.kinds_[kind];
  parents_ = before.parents_;
}

// Addresses of pods of one class and with the same longest prefix around them have one identity.
void IdentityTable::AddPods(const Population& population) {
  AddPlain(SL_KIND_WORKLOAD);
  struct Group {
    std::string key;
    std::uint32_t pod_class;
    std::uint32_t pod;           // the first by name, as index
    std::uint32_t prefix_index;  // of one of its addresses
    std::uint32_t number;        // in order of appearance
  };
  constexpr std::uint32_t kNone = UINT32_MAX;
  std::vector<Group> groups;
  std::vector<std::uint32_t> plain_groups(classes_.size(), kNone);  // by class: of addresses outside all prefixes
  std::unordered_map<std::uint64_t, std::uint32_t> other_groups;    // by class and prefix
  std::array<std::uint32_t, SL_KIND_COUNT> after{};                 // as LongestAround; addresses come in order
  for (const sl_identity_kind kind : {SL_KIND_WORLD4, SL_KIND_WORLD6}) after[kind] = kinds_[kind].begin + 1;
  by_pod_address_.reserve(population.by_address.size());
  for (const auto& [ip, pod] : population.by_address) {
    const std::uint32_t pod_class = class_by_endpoint_[pod];
    const sl_identity_kind outside = OutsideKind(ip.is_v4());
    std::uint32_t& next = after[outside];
    while (next != kinds_[outside].end && *identities_[next].prefix <= Prefix::Host(ip)) next++;
    const std::uint32_t around = LongestAround(ip, next);
    const bool plain = identities_[around].plain;
    const std::uint64_t content = std::uint64_t{pod_class} << 32U | around;
    std::uint32_t& group = plain ? plain_groups[pod_class] : other_groups.try_emplace(content, kNone).first->second;
    if (group == kNone) {
      group = static_cast<std::uint32_t>(groups.size());
      std::string prefix = plain ? "" : identities_[around].prefix->ToString();
      groups.push_back({classes_[pod_class]->key + CanonicalKey().Add(prefix).bytes(), pod_class, pod, around, group});
    }
    groups[group].pod = std::min(groups[group].pod, pod);
    by_pod_address_.push_back(group);
  }
  std::sort(groups.begin(), groups.end(), [](const Group& a, const Group& b) { return a.key < b.key; });

  const std::uint32_t first = kinds_[SL_KIND_WORKLOAD].end;
  std::vector<std::string> keys;
  std::map<std::vector<NamedPort>, std::uint32_t> port_lists = {{{}, 0}};
  std::vector<std::uint32_t> index_by_number(groups.size());
  for (Group& group : groups) {
    const auto fresh_list = static_cast<std::uint32_t>(port_lists.size());
    index_by_number[group.number] = first + static_cast<std::uint32_t>(keys.size());
    identities_.push_back(
        {.kind = SL_KIND_WORKLOAD,
         .pod = &population.endpoints[group.pod],
         .prefix = identities_[group.prefix_index].prefix,
         .prefix_index = group.prefix_index,
         .ports = port_lists.try_emplace(classes_[group.pod_class]->ports, fresh_list).first->second});
    class_by_pod_identity_.push_back(group.pod_class);
    keys.push_back(std::move(group.key));
  }
  for (std::uint32_t& index : by_pod_address_) index = index_by_number[index];
  const std::vector<std::uint32_t> numbers = AssignStableIds(keys, kNumbers);
  for (std::size_t i = 0; i < numbers.size(); i++) {
    identities_[first + i].id = Number(SL_KIND_WORKLOAD, numbers[i]);
  }
  kinds_[SL_KIND_WORKLOAD].end = static_cast<std::uint32_t>(identities_.size());
}

IdentityTable IdentityTable::Build(const Population& population, const Interest& interest, const Before* before) {
  IdentityTable table;
  for (const std::string& key : interest.label_keys) {
    if (IsChurn(key)) table.selected_churn_.insert(key);
  }
  table.FindClasses(population, before);
  if (before != nullptr && before->interest.prefixes4 == interest.prefixes4 &&
      before->interest.prefixes6 == interest.prefixes6) {
    table.CopyOutside(before->identities);
  } else {
    table.AddOutside(SL_KIND_WORLD4, interest.prefixes4);
    table.AddOutside(SL_KIND_WORLD6, interest.prefixes6);
  }
  table.AddNode(population);
  table.AddPods(population);
  return table;
}

bool IdentityTable::HasSameIdentities(const IdentityTable& other) const {
  const auto is_same = [](const Identity& a, const Identity& b) {
    return a.kind == b.kind && a.id == b.id && a.plain == b.plain && a.prefix == b.prefix &&
           a.prefix_index == b.prefix_index && a.ports == b.ports;
  };
  const auto is_same_class = [&](std::uint32_t a, std::uint32_t b) {
    return classes_[a] == other.classes_[b] || classes_[a]->key == other.classes_[b]->key;
  };
  return std::ranges::equal(identities_, other.identities_, is_same) &&
         std::ranges::equal(class_by_pod_identity_, other.class_by_pod_identity_, is_same_class);
}

FlatMap<std::uint32_t, IdentityInfo> IdentityTable::Describe() const {
  std::vector<std::pair<std::uint32_t, IdentityInfo>> infos;
  for (const Identity& identity : identities_) {
    if (identity.IsPlaceholder()) continue;
    IdentityInfo info{.id = identity.id};
    if (identity.pod) {
      info.ns = identity.pod->name.ns;
      info.labels = Relevant(identity.pod->labels);
    }
    if (identity.prefix) info.prefix = identity.prefix->ToString();
    infos.emplace_back(identity.id, std::move(info));
  }
  return FlatMap<std::uint32_t, IdentityInfo>(std::move(infos));
}

std::string IdentityInfo::ToString() const {
  std::string text;
  switch (id >> SL_IDENTITY_KIND_SHIFT) {
    case SL_KIND_WORKLOAD: {
      text = ns + "{";
      for (const auto& [key, value] : labels) text += fmt::format("{}{}={}", text.back() == '{' ? "" : ",", key, value);
      text += "}";
      break;
    }
    case SL_KIND_NODE:
      text = "node";
      break;
    case SL_KIND_WORLD4:
      text = "outside IPv4";
      break;
    case SL_KIND_WORLD6:
      text = "outside IPv6";
      break;
  }
  if (!prefix.empty()) text += " in " + prefix;
  return text;
}

}  // namespace sluice::policy
