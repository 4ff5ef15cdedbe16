// What policy says of resource files alone, without a node. Pure.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "policy/network/snapshot.h"

namespace sluice::resources {

// The addresses of pods on the host's network are the node's. Error: two endpoints have one address.
StatusOr<std::shared_ptr<const policy::Snapshot>> SnapshotOf(const policy::ResourceMap& resources);

struct AssumedAddress {
  policy::ObjectName name;
  policy::Address address;
};

// Gives every pod and workload that names no address one of 198.18.0.0/15 (RFC 2544: no host's), which no rule means
// except those for all addresses. Returns them in order.
std::vector<AssumedAddress> AssumeAddresses(policy::ResourceMap& resources);

}  // namespace sluice::resources
