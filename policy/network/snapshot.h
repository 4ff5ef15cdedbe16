// Everything the policy engine knows at one moment, indexed: the resources, and where the node has attached to them.
// Immutable after Build; safe to share.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "policy/resource/resource_map.h"

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
  const Labels* namespace_labels = nullptr;  // in the snapshot; never null
  std::vector<NamedPort> ports;
  std::vector<Address> ips;
  std::uint32_t ifindex = 0;              // 0: not local
  std::uint32_t endpoint = 0;             // 0: not local
  std::shared_ptr<const PodOwner> owner;  // null: none
};

// Everything except the policies.
struct Population {
  std::map<std::string, Labels> namespaces;   // including those that only a pod implies
  std::vector<Endpoint> endpoints;            // sorted by name; without host-network and finished pods (15, 18)
  std::map<Address, std::size_t> by_address;  // index into endpoints
  std::vector<Address> node_addresses;        // sorted
  ResourceMap resources;                      // input of Build, without the policies
  std::map<ObjectName, Binding> bindings;     // input of Build

  const Endpoint* Find(const Address& address) const;        // null: no pod has it
  const Endpoint* FindByName(const ObjectName& name) const;  // null: unknown
  bool IsNode(const Address& address) const;
};

struct Snapshot {
  // `bindings` by workload name; a Workload without one is a peer with the addresses in spec.ips, but not enforced on.
  // Error: two Workloads with one address (InvalidArgument naming both). An address of two Pods goes to the first by
  // name, because a Pod's address may be reused before its deletion is seen; a Workload wins over Pods.
  // If only policies differ from `previous`, its population is reused.
  static StatusOr<std::shared_ptr<const Snapshot>> Build(const ResourceMap& resources,
                                                         const std::map<ObjectName, Binding>& bindings,
                                                         std::vector<Address> node_addresses,
                                                         const Snapshot* previous = nullptr);
  explicit Snapshot(std::shared_ptr<const Population> everybody) : population(std::move(everybody)) {}

  const std::shared_ptr<const Population> population;
  std::vector<std::shared_ptr<const NetworkPolicy>> policies;  // sorted by (namespace, name, api)
  // Short names for `population`'s members.
  const std::map<std::string, Labels>& namespaces = population->namespaces;
  const std::vector<Endpoint>& endpoints = population->endpoints;
  const std::map<Address, std::size_t>& by_address = population->by_address;
  const std::vector<Address>& node_addresses = population->node_addresses;

  const Endpoint* Find(const Address& address) const { return population->Find(address); }
  const Endpoint* FindByName(const ObjectName& name) const { return population->FindByName(name); }
  bool IsNode(const Address& address) const { return population->IsNode(address); }
};

}  // namespace sluice::policy
