// xdp-filter (xdp-tools) as a peer.
#pragma once

#include "perf/rate/topology.h"

namespace sluice::perf {

inline constexpr int kXdpFilterAddresses = 9999;   // capacity of its table, without its counter
inline constexpr int kXdpFilterMatchesSource = 1;  // MAP_FLAG_SRC of its prog_user.h; the packet counter is above it

// Loads it, for IPv4 sources only, and blocks the first listed addresses. Its maps have one fixed path, so each
// topology mounts its own BPF file system there.
Status XdpFilter(Topology* topology, int listed);

}  // namespace sluice::perf
