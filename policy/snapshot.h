// Everything the policy engine knows at one moment, indexed: resources plus what the node found out about them.
// Immutable after Build; safe to share.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "policy/model.h"

namespace sluice::policy {

// What the node found for a local workload: where it is attached. Made by ctrl/workload.
struct Binding {
  std::uint32_t ifindex = 0;   // host end of its veth; > 0
  std::uint32_t endpoint = 0;  // dense number, 1..SL_MAX_ENDPOINTS-1
  std::vector<Address> ips;    // the addresses in force: spec.ips or what the interface has
};

// A pod as peers see it: from a Workload or a Pod resource. A Workload wins over a Pod of the same name.
struct Endpoint {
  ObjectName name;
  std::uint32_t workload_id = 0;  // hash of namespace/name/uid; never 0
  Labels labels;
  const Labels* namespace_labels = nullptr;  // in the snapshot; never null
  std::vector<NamedPort> ports;
  std::vector<Address> ips;
  std::uint32_t ifindex = 0;   // 0: not local
  std::uint32_t endpoint = 0;  // 0: not local
};

struct Snapshot {
  std::map<std::string, Labels> namespaces;  // also those only implied by a resource in them
  std::vector<Endpoint> endpoints;           // sorted by name; without host-network and finished pods (15, 18)
  std::vector<std::shared_ptr<const NetworkPolicy>> policies;  // sorted by (namespace, name, api)
  std::map<Address, std::size_t> by_address;                   // index into endpoints
  std::vector<Address> node_addresses;                         // sorted

  // `bindings` by workload name; a Workload without one is a known peer by spec.ips but not enforced on.
  // Error: two endpoints with one address (InvalidArgument naming both). Two *Pods* of one address: the local or
  // the first by name wins, because a Pod's address may be reused before its deletion is seen.
  static StatusOr<std::shared_ptr<const Snapshot>> Build(const ResourceMap& resources,
                                                         const std::map<ObjectName, Binding>& bindings,
                                                         std::vector<Address> node_addresses);

  const Endpoint* Find(const Address& address) const;        // null: no pod has it
  const Endpoint* FindByName(const ObjectName& name) const;  // null: unknown
  bool IsNode(const Address& address) const;
};

}  // namespace sluice::policy
