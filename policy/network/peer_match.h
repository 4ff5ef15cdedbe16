// The identities that a rule's peers match, as ranges of identity indices. Caches results, so not thread-safe.
// Making one costs nothing: the identities are indexed when a rule is matched first.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <tuple>
#include <unordered_map>
#include <vector>

#include "policy/network/identity.h"

namespace sluice::policy {

class PeerMatcher {
 public:
  // Both must outlive the matcher.
  PeerMatcher(const Population& population, const IdentityTable& identities)
      : population_(population), identities_(identities) {}

  RangeSet Match(const NetworkPolicy& policy, const Rule& rule) const;
  void Forget() { known_.clear(); }  // empties the cache, which would otherwise grow with each new policy

 private:
  // The policy's namespace if peers must be in it, else empty; then the two selectors.
  using SelectorKey = std::tuple<std::string, std::optional<Selector>, std::optional<Selector>>;

  struct Index {
    explicit Index(const IdentityTable& identities);
    std::unordered_map<std::string, Range> by_namespace;
    std::unordered_map<std::string, std::vector<std::uint32_t>> by_label;  // "key" and "key=value", ascending
    std::vector<std::pair<std::uint32_t, std::uint32_t>> by_prefix;        // (prefix index, index) of pods and node
  };

  const Index& index() const;
  RangeSet MatchBlock(const IpBlock& block) const;
  const RangeSet& MatchSelectors(const NetworkPolicy& policy, const Peer& peer) const;
  RangeSet NamespaceScope(const SelectorKey& key) const;
  std::vector<std::uint32_t> Candidates(const Selector& selector, const RangeSet& scope) const;

  const Population& population_;
  const IdentityTable& identities_;
  mutable std::optional<Index> index_;
  mutable std::map<SelectorKey, RangeSet> known_;
};

}  // namespace sluice::policy
