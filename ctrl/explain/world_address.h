// An address for what is outside: `world` in a question. Pure.
#pragma once

#include <vector>

#include "policy/network/snapshot.h"

namespace sluice::explain {

// One of each IP family, IPv4 first: no workload, pod or node has it, and no ipBlock speaks of it but those for every
// address (0.0.0.0/0, ::/0). Without a family of which there is no such address.
std::vector<policy::Address> WorldAddresses(const policy::Snapshot& snapshot);

}  // namespace sluice::explain
