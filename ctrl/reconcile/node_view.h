// What one look at the node found for the workloads. Immutable afterwards.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "ctrl/node/binder.h"
#include "ctrl/node/endpoint_ids.h"
#include "ctrl/node/process_owners.h"
#include "kernel/datapath/enforcer.h"
#include "policy/network/snapshot.h"
#include "policy/resource/resource_map.h"

namespace sluice::reconcile {

// Interface number -> its workload. An empty name: an earlier agent attached there for an unknown workload.
using Owners = std::map<std::uint32_t, policy::ObjectName>;

struct NodeView {
  policy::ResourceMap resources;  // the workloads and all others
  node::EndpointIds ids;
  std::map<policy::ObjectName, policy::Binding> bindings;
  std::vector<datapath::PodInterface> interfaces;
  std::vector<datapath::PodInterface> closed;               // of workloads in `unbound`
  Owners owners;                                            // of `interfaces` and `closed`
  std::map<policy::ObjectName, node::BoundWorkload> found;  // the workloads that are bound, as found
  std::map<policy::ObjectName, std::string> failed;         // look-up failed, and why; some are in `found` as before
  std::map<policy::ObjectName, std::string> unbound;        // as View
  std::set<policy::ObjectName> open;                        // those of `unbound` that cannot be closed
  node::ProcessOwners process_owners;
  std::set<datapath::PodNamespace> namespaces;  // of the workloads' own
  std::vector<policy::Address> node_addresses;
  std::uint64_t looked_at = 0;  // number of the last interface that CloseNewInterfaces closed before it
};

// How an interface whose workload is not enforced on is described to the packet path.
datapath::PodInterface ClosedInterface(const node::HostEnd& end);

}  // namespace sluice::reconcile
