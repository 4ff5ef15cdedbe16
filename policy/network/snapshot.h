// Everything the policy engine knows at one moment, indexed: the resources, and where the node has attached to them.
// Immutable after Build; safe to share.
#pragma once

#include <iterator>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "policy/network/flat_map.h"
#include "policy/resource/resource_map.h"
#include "policy/resource/shared_map.h"

namespace sluice::policy {

// Where a local workload is attached. Made by ctrl/node.
struct Binding {
  std::uint32_t ifindex = 0;   // host end of its veth; > 0
  std::uint32_t endpoint = 0;  // dense number, 1..SL_MAX_ENDPOINTS-1
  std::vector<Address> ips;    // the addresses in use: spec.ips, or those of the interface
  bool operator==(const Binding&) const = default;
};

// A pod as peers see it: from a Workload or a Pod resource. A Workload wins over a Pod of the same name.
struct Endpoint {
  ObjectName name;
  std::uint32_t workload_id = 0;  // hash of namespace/name/uid; never 0
  Labels labels;
  std::shared_ptr<const Labels> namespace_labels;  // never null
  std::vector<NamedPort> ports;
  std::vector<Address> ips;
  std::uint32_t ifindex = 0;              // 0: not local
  std::uint32_t endpoint = 0;             // 0: not local
  std::shared_ptr<const PodOwner> owner;  // null: none
};

// Endpoints in the order of their names. A copy shares them; so does the next population, where they are the same.
class EndpointList {
 public:
  using Pointers = std::vector<std::shared_ptr<const Endpoint>>;

  class const_iterator {
   public:
    using iterator_category = std::forward_iterator_tag;
    using value_type = Endpoint;
    using difference_type = std::ptrdiff_t;
    using pointer = const Endpoint*;
    using reference = const Endpoint&;

    const_iterator() = default;
    explicit const_iterator(Pointers::const_iterator at) : at_(at) {}
    reference operator*() const { return **at_; }
    pointer operator->() const { return at_->get(); }
    const_iterator& operator++() {
      ++at_;
      return *this;
    }
    const_iterator operator++(int) { return const_iterator(at_++); }
    bool operator==(const const_iterator&) const = default;

   private:
    Pointers::const_iterator at_;
  };

  EndpointList() = default;
  explicit EndpointList(Pointers pointers) : pointers_(std::move(pointers)) {}  // sorted by name

  const_iterator begin() const { return const_iterator(pointers_.begin()); }
  const_iterator end() const { return const_iterator(pointers_.end()); }
  std::size_t size() const { return pointers_.size(); }
  const Endpoint& operator[](std::size_t index) const { return *pointers_[index]; }
  const Pointers& pointers() const { return pointers_; }

 private:
  Pointers pointers_;
};

// What an endpoint is made from. Resources are immutable, so their addresses identify them.
struct EndpointOrigin {
  const Workload* workload = nullptr;  // null: it is the pod's
  const Pod* pod = nullptr;
  std::uint64_t name_hash = 0;    // of namespace, name and uid
  std::uint32_t workload_id = 0;  // as Endpoint's
  const ObjectName& name() const { return workload != nullptr ? workload->name : pod->name; }
};

// The labels of each namespace.
using NamespaceMap = SharedMap<std::string, std::shared_ptr<const Labels>>;

// Everything except the policies.
struct Population {
  NamespaceMap namespaces;                     // including those that only a pod implies
  EndpointList endpoints;                      // without host-network and finished pods (15, 18)
  std::vector<std::uint32_t> locals;           // indices of the endpoints that are local
  FlatMap<Address, std::uint32_t> by_address;  // index into endpoints
  std::vector<Address> contested;              // sorted: addresses that some endpoint claims and does not have
  std::vector<Address> node_addresses;         // sorted
  ResourceMap resources;                       // input of Build, without the policies
  std::map<ObjectName, Binding> bindings;      // input of Build
  std::vector<EndpointOrigin> origins;         // of `endpoints`, in `resources`

  const Endpoint* Find(const Address& address) const;        // null: no pod has it
  const Endpoint* FindByName(const ObjectName& name) const;  // null: unknown
  bool IsNode(const Address& address) const;
};

struct Snapshot {
  // `bindings` by workload name; a Workload without one is a peer with the addresses in spec.ips, but not enforced on.
  // Error: two Workloads with one address (InvalidArgument naming both). An address of two Pods goes to the first by
  // name, because a Pod's address may be reused before its deletion is seen; a Workload wins over Pods.
  // If only policies differ from `previous`, its population is reused. If a few endpoints differ, too, the others are
  // not looked at; else its endpoints are reused, where nothing changed.
  static StatusOr<std::shared_ptr<const Snapshot>> Build(const ResourceMap& resources,
                                                         const std::map<ObjectName, Binding>& bindings,
                                                         std::vector<Address> node_addresses,
                                                         const Snapshot* previous = nullptr);
  explicit Snapshot(std::shared_ptr<const Population> everybody) : population(std::move(everybody)) {}

  const std::shared_ptr<const Population> population;
  // Sorted by (namespace, name, api). A KubeArmor policy may be several (PeerPolicies).
  std::vector<std::shared_ptr<const NetworkPolicy>> policies;
  // Short names for `population`'s members.
  const NamespaceMap& namespaces = population->namespaces;
  const EndpointList& endpoints = population->endpoints;
  const FlatMap<Address, std::uint32_t>& by_address = population->by_address;
  const std::vector<Address>& node_addresses = population->node_addresses;

  const Endpoint* Find(const Address& address) const { return population->Find(address); }
  const Endpoint* FindByName(const ObjectName& name) const { return population->FindByName(name); }
  bool IsNode(const Address& address) const { return population->IsNode(address); }
};

}  // namespace sluice::policy
