// Identities: all peers that no policy can tell apart share one number. So the kernel keeps one entry for them, and a
// new pod with known labels changes no ruleset.
//
// Identities are sorted, and each has an index: outside IPv4, outside IPv6, node, pods. Each kind begins with its plain
// identity; then come outside identities by prefix, and pods by namespace and labels. So a rule matches a few ranges of
// indices. Immutable after Build; points into the population and must not outlive it.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "policy/network/ranges.h"
#include "policy/network/snapshot.h"
#include "policy/network/tables.h"

namespace sluice::policy {

struct Identity {
  sl_identity_kind kind = SL_KIND_WORKLOAD;
  std::uint32_t id = 0;
  bool plain = false;              // the kind's identity for addresses outside all policy prefixes
  const Endpoint* pod = nullptr;   // any one of the pods with this identity
  std::optional<Prefix> prefix;    // the longest policy prefix around its addresses
  std::uint32_t prefix_index = 0;  // index of the outside identity of `prefix`; without `prefix`: of a plain identity
  std::uint32_t ports = 0;         // equal numbers: equal lists of named ports; 0: none
  // The plain identity of pods. No address has it; it exists so that no kind is empty.
  bool IsPlaceholder() const { return kind == SL_KIND_WORKLOAD && plain; }
};

// What the policies look at.
struct Interest {
  explicit Interest(const std::vector<std::shared_ptr<const NetworkPolicy>>& policies);
  std::vector<Prefix> prefixes4, prefixes6;  // sorted
  std::set<std::string> label_keys;
  bool operator==(const Interest&) const = default;
};

class IdentityTable {
 public:
  // `before`: a table and what it was made from. Pods and prefixes that are the same need not be looked at again. It
  // may end after.
  struct Before {
    const Population& population;
    const Interest& interest;
    const IdentityTable& identities;
  };
  static IdentityTable Build(const Population& population, const Interest& interest, const Before* before = nullptr);

  const std::vector<Identity>& all() const { return identities_; }
  // Whether `other` has the same identities at the same indices. Then policies match the same indices in both.
  bool HasSameIdentities(const IdentityTable& other) const;
  Range OfKind(sl_identity_kind kind) const { return kinds_[kind]; }
  // Indices of the outside identities whose prefix lies in `cidr`, which must be a prefix of some policy.
  Range Within(const Prefix& cidr) const;

  // The identity of a pod's address, by its place in Population::by_address.
  const Identity& OfPodAddress(std::size_t place) const { return identities_[by_pod_address_[place]]; }
  // The identity of an address of the node that no pod has.
  const Identity& OfNodeAddress(const Address& address) const { return identities_[by_node_address_.at(address)]; }

  // All identities that an address or prefix has, by number. Only with the labels that policies can see.
  FlatMap<std::uint32_t, IdentityInfo> Describe() const;

  // Label keys that only tell pods of one workload apart. They are ignored unless a selector names them.
  static bool IsChurn(const std::string& key);

 private:
  // All that a policy may see of pods, except their addresses.
  struct PodClass {
    std::string key;
    std::vector<NamedPort> ports;
  };

  Labels Relevant(const Labels& labels) const;
  PodClass ClassOf(const Endpoint& pod) const;
  void FindClasses(const Population& population, const Before* before);
  void AddPlain(sl_identity_kind kind);
  void AddOutside(sl_identity_kind kind, const std::vector<Prefix>& prefixes);
  void CopyOutside(const IdentityTable& before);
  void AddNode(const Population& population);
  void AddPods(const Population& population);
  std::uint32_t LongestAround(const Address& address) const;
  std::uint32_t LongestAround(const Address& address, std::uint32_t after) const;

  std::vector<Identity> identities_;
  Range kinds_[SL_KIND_COUNT];
  std::vector<std::uint32_t> parents_;  // by outside index: the next shorter prefix around it, or the plain identity
  std::vector<std::uint32_t> by_pod_address_;  // in the order of Population::by_address
  std::map<Address, std::uint32_t> by_node_address_;
  std::set<std::string> selected_churn_;                  // of the keys that IsChurn, those that some selector names
  std::vector<std::shared_ptr<const PodClass>> classes_;  // each once
  std::vector<std::uint32_t> class_by_endpoint_;          // in the order of Population::endpoints
  std::vector<std::uint32_t> class_by_pod_identity_;  // in the order of the identities of pods, without the plain one
};

}  // namespace sluice::policy
