// Addresses that stand for the outside: `world` in a request. Pure.
#pragma once

#include <vector>

#include "policy/network/snapshot.h"

namespace sluice::explain {

// One of each IP family, IPv4 first: no workload, pod or node has it, and no ipBlock names it, except those for every
// address (0.0.0.0/0, ::/0). A family without such an address is left out.
std::vector<policy::Address> WorldAddresses(const policy::Snapshot& snapshot);

}  // namespace sluice::explain
