#include "policy/network/peer_match.h"

#include <algorithm>

namespace sluice::policy {
namespace {

std::string LabelKey(const std::string& key, const std::string& value) { return key + '=' + value; }

bool Contains(const RangeSet& set, std::uint32_t number) {
  const auto after = std::upper_bound(set.begin(), set.end(), number,
                                      [](std::uint32_t n, const Range& range) { return n < range.begin; });
  return after != set.begin() && number < std::prev(after)->end;
}

std::size_t Size(const RangeSet& set) {
  std::size_t size = 0;
  for (const Range& range : set) size += range.size();
  return size;
}

}  // namespace

PeerMatcher::Index::Index(const IdentityTable& identities) {
  const std::vector<Identity>& all = identities.all();
  const Range outside4 = identities.OfKind(SL_KIND_WORLD4), outside6 = identities.OfKind(SL_KIND_WORLD6);
  for (std::uint32_t i = 0; i < all.size(); i++) {
    const bool outside = i < outside4.end || (i >= outside6.begin && i < outside6.end);
    if (!outside && all[i].prefix) by_prefix.emplace_back(all[i].prefix_index, i);
    if (!all[i].pod) continue;
    Range& range = by_namespace.try_emplace(all[i].pod->name.ns, Range{i, i}).first->second;
    range.end = i + 1;
    for (const auto& [key, value] : all[i].pod->labels) {
      if (IdentityTable::IsChurn(key)) continue;
      by_label[key].push_back(i);
      by_label[LabelKey(key, value)].push_back(i);
    }
  }
  std::sort(by_prefix.begin(), by_prefix.end());
}

const PeerMatcher::Index& PeerMatcher::index() const {
  if (!index_) index_.emplace(identities_);
  return *index_;
}

RangeSet PeerMatcher::Match(const NetworkPolicy& policy, const Rule& rule) const {
  if (rule.peers.empty()) return {{0, static_cast<std::uint32_t>(identities_.all().size())}};
  std::vector<Range> ranges;
  for (const Peer& peer : rule.peers) {
    const RangeSet matched = peer.ip_block ? MatchBlock(*peer.ip_block) : MatchSelectors(policy, peer);
    ranges.insert(ranges.end(), matched.begin(), matched.end());
  }
  return Normalised(std::move(ranges));
}

// A block and its holes are policy prefixes themselves. So addresses with the same longest policy prefix are all inside
// or all outside.
RangeSet PeerMatcher::MatchBlock(const IpBlock& block) const {
  std::vector<Range> holes;
  for (const Prefix& hole : block.except) holes.push_back(identities_.Within(hole));
  RangeSet outside = Difference(Normalised({identities_.Within(block.cidr)}), Normalised(std::move(holes)));

  const auto& by_prefix = index().by_prefix;
  std::vector<std::uint32_t> holders;
  for (const Range& range : outside) {
    auto holder = std::lower_bound(by_prefix.begin(), by_prefix.end(), std::pair{range.begin, 0U});
    for (; holder != by_prefix.end() && holder->first < range.end; ++holder) holders.push_back(holder->second);
  }
  std::vector<Range> ranges = FromNumbers(std::move(holders));
  ranges.insert(ranges.end(), outside.begin(), outside.end());
  return Normalised(std::move(ranges));
}

RangeSet PeerMatcher::NamespaceScope(const SelectorKey& key) const {
  const auto& [own, namespace_selector, pod_selector] = key;
  std::vector<Range> scope;
  const auto& by_namespace = index().by_namespace;
  const auto add = [&](const std::string& name) {
    if (const auto found = by_namespace.find(name); found != by_namespace.end()) scope.push_back(found->second);
  };
  if (!namespace_selector) {
    add(own);
  } else {
    for (const auto& [name, labels] : population_.namespaces) {
      if (namespace_selector->Matches(*labels)) add(name);
    }
  }
  return Normalised(std::move(scope));
}

// A superset of the pods in `scope` that `selector` matches: those with its rarest label, or the whole scope.
std::vector<std::uint32_t> PeerMatcher::Candidates(const Selector& selector, const RangeSet& scope) const {
  const auto& by_label = index().by_label;
  std::size_t smallest = Size(scope);
  std::vector<const std::vector<std::uint32_t>*> best;
  bool whole_scope = true;
  for (const Selector::Requirement& requirement : selector.requirements) {
    if (IdentityTable::IsChurn(requirement.key)) continue;  // not indexed
    std::vector<std::string> wanted;
    if (requirement.op == Selector::Operator::kIn) {
      for (const std::string& value : requirement.values) wanted.push_back(LabelKey(requirement.key, value));
    } else if (requirement.op == Selector::Operator::kExists) {
      wanted.push_back(requirement.key);
    } else {
      continue;
    }
    std::size_t size = 0;
    std::vector<const std::vector<std::uint32_t>*> lists;
    for (const std::string& name : wanted) {
      if (const auto found = by_label.find(name); found != by_label.end()) {
        lists.push_back(&found->second);
        size += found->second.size();
      }
    }
    if (size < smallest) {
      smallest = size;
      best = std::move(lists);
      whole_scope = false;
    }
  }
  std::vector<std::uint32_t> candidates;
  candidates.reserve(smallest);
  if (whole_scope) {
    for (const Range& range : scope) {
      for (std::uint32_t i = range.begin; i < range.end; i++) candidates.push_back(i);
    }
  } else {
    for (const auto* list : best) {
      std::copy_if(list->begin(), list->end(), std::back_inserter(candidates),
                   [&](std::uint32_t i) { return Contains(scope, i); });
    }
  }
  return candidates;
}

const RangeSet& PeerMatcher::MatchSelectors(const NetworkPolicy& policy, const Peer& peer) const {
  SelectorKey key{peer.namespace_selector ? "" : policy.name.ns, peer.namespace_selector, peer.pod_selector};
  if (const auto found = known_.find(key); found != known_.end()) return found->second;

  RangeSet matched = NamespaceScope(key);
  if (peer.pod_selector && !peer.pod_selector->requirements.empty()) {
    std::vector<std::uint32_t> pods = Candidates(*peer.pod_selector, matched);
    std::erase_if(pods, [&](std::uint32_t i) { return !peer.pod_selector->Matches(identities_.all()[i].pod->labels); });
    matched = FromNumbers(std::move(pods));
  }
  return known_.emplace(std::move(key), std::move(matched)).first->second;
}

}  // namespace sluice::policy
