#include "policy/network/identity.h"

#include <algorithm>

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

// Everything about a pod that a policy may see, except its addresses.
CanonicalKey PodKey(const Endpoint& pod, const Labels& labels, const std::vector<NamedPort>& ports) {
  CanonicalKey key;
  key.Add(pod.name.ns);
  AddLabels(key, *pod.namespace_labels);
  AddLabels(key, labels);
  key.Add(ports.size());
  for (const NamedPort& port : ports) key.Add(port.name).Add(port.port).Add(port.protocol);
  return key;
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
    if (!IsChurn(label.first) || selected_keys_.contains(label.first)) kept.insert(kept.end(), label);
  }
  return kept;
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

std::uint32_t IdentityTable::LongestAround(const Address& address) const {
  const Range range = kinds_[OutsideKind(address.is_v4())];
  const auto first = identities_.begin() + range.begin + 1, last = identities_.begin() + range.end;
  const auto after = std::upper_bound(first, last, Prefix::Host(address),
                                      [](const Prefix& p, const Identity& identity) { return p < *identity.prefix; });
  auto index = static_cast<std::uint32_t>(after - identities_.begin()) - 1;
  while (index != range.begin && !identities_[index].prefix->Contains(address)) index = parents_[index];
  return index;
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
      by_address_.emplace(ip, plain);
    } else {
      by_prefix[around].push_back(ip);
    }
  }
  std::vector<std::string> keys;
  for (const auto& [around, ips] : by_prefix) keys.push_back(identities_[around].prefix->ToString());
  const std::vector<std::uint32_t> numbers = AssignStableIds(keys, kNumbers);
  std::size_t next = 0;
  for (const auto& [around, ips] : by_prefix) {
    for (const Address& ip : ips) by_address_.emplace(ip, static_cast<std::uint32_t>(identities_.size()));
    identities_.push_back({.kind = SL_KIND_NODE,
                           .id = Number(SL_KIND_NODE, numbers[next++]),
                           .prefix = identities_[around].prefix,
                           .prefix_index = around});
  }
  kinds_[SL_KIND_NODE].end = static_cast<std::uint32_t>(identities_.size());
}

void IdentityTable::AddPods(const Population& population) {
  AddPlain(SL_KIND_WORKLOAD);
  struct Holder {
    std::string key;
    const Endpoint* pod;
    const Address* ip;
    std::uint32_t prefix_index;
    std::uint32_t ports;
  };
  std::vector<Holder> holders;
  std::map<std::vector<NamedPort>, std::uint32_t> port_lists = {{{}, 0}};
  for (const Endpoint& pod : population.endpoints) {
    const std::vector<NamedPort> ports = SortedPorts(pod);
    const auto fresh_list = static_cast<std::uint32_t>(port_lists.size());
    const std::uint32_t port_list = port_lists.try_emplace(ports, fresh_list).first->second;
    const CanonicalKey key = PodKey(pod, Relevant(pod.labels), ports);
    for (const Address& ip : pod.ips) {
      const std::uint32_t around = LongestAround(ip);
      const Identity& outside = identities_[around];
      std::string full = CanonicalKey(key).Add(outside.plain ? "" : outside.prefix->ToString()).bytes();
      holders.push_back({std::move(full), &pod, &ip, around, port_list});
    }
  }
  std::stable_sort(holders.begin(), holders.end(), [](const Holder& a, const Holder& b) { return a.key < b.key; });

  std::vector<std::string> keys;
  for (Holder& holder : holders) {
    const bool same = !keys.empty() && keys.back() == holder.key;
    if (!same) {
      identities_.push_back({.kind = SL_KIND_WORKLOAD,
                             .pod = holder.pod,
                             .prefix = identities_[holder.prefix_index].prefix,
                             .prefix_index = holder.prefix_index,
                             .ports = holder.ports});
      keys.push_back(std::move(holder.key));
    }
    by_address_.emplace(*holder.ip, static_cast<std::uint32_t>(identities_.size() - 1));
  }
  const std::vector<std::uint32_t> numbers = AssignStableIds(keys, kNumbers);
  const std::uint32_t first = kinds_[SL_KIND_WORKLOAD].end;
  for (std::size_t i = 0; i < numbers.size(); i++) {
    identities_[first + i].id = Number(SL_KIND_WORKLOAD, numbers[i]);
  }
  kinds_[SL_KIND_WORKLOAD].end = static_cast<std::uint32_t>(identities_.size());
}

IdentityTable IdentityTable::Build(const Population& population, const Interest& interest) {
  IdentityTable table;
  table.selected_keys_ = interest.label_keys;
  table.AddOutside(SL_KIND_WORLD4, interest.prefixes4);
  table.AddOutside(SL_KIND_WORLD6, interest.prefixes6);
  table.AddNode(population);
  table.AddPods(population);
  return table;
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
