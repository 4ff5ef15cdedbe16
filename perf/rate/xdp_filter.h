// xdp-filter (xdp-tools) as a peer.
#pragma once

#include "perf/rate/topology.h"

namespace sluice::perf {

inline constexpr int kXdpFilterAddresses = 9999;   // what its table takes, less its counter
inline constexpr int kXdpFilterMatchesSource = 1;  // MAP_FLAG_SRC of its prog_user.h; the packet counter lies above

// Loads it, for IPv4 sources only, and blocks the first listed addresses. Its maps have one fixed place in the file
// system: each topology sees a BPF file system of its own there.
Status XdpFilter(Topology* topology, int listed);

}  // namespace sluice::perf
