// What the node has for the workloads, as it was found at one look. Immutable once it is found.
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

// Workloads by the interface that is theirs. An empty name: an earlier agent attached there, for whom is unknown.
using Owners = std::map<std::uint32_t, policy::ObjectName>;

struct NodeView {
  policy::ResourceMap resources;  // that the workloads are among
  node::EndpointIds ids;
  std::map<policy::ObjectName, policy::Binding> bindings;
  std::vector<datapath::PodInterface> interfaces;
  std::vector<datapath::PodInterface> closed;               // of workloads in `unbound`
  Owners owners;                                            // of `interfaces` and `closed`
  std::map<policy::ObjectName, node::BoundWorkload> found;  // who `bindings` are of, as they were found
  std::map<policy::ObjectName, std::string> failed;   // could not be looked up, and why; some are in `found` of before
  std::map<policy::ObjectName, std::string> unbound;  // as View
  std::set<policy::ObjectName> open;                  // of those, that cannot be closed
  node::ProcessOwners process_owners;
  std::set<std::uint64_t> netns;  // inode numbers of those of the workloads; 0: one is not known
  std::vector<policy::Address> node_addresses;
  std::uint64_t looked_at = 0;  // number of the last interface that CloseNewInterfaces had closed before
};

// What the packet path is told of an interface whose workload is not enforced on.
datapath::PodInterface ClosedInterface(const node::HostEnd& end);

}  // namespace sluice::reconcile
