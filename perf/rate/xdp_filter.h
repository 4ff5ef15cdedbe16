// xdp-filter (xdp-tools) as a peer. Its maps have one fixed place on the machine, so one lane at a time can have it,
// and none where it is in use already.
#pragma once

#include "perf/rate/lane.h"

namespace sluice::perf {

inline constexpr int kXdpFilterAddresses = 9999;   // what its table takes, less its counter
inline constexpr int kXdpFilterMatchesSource = 1;  // MAP_FLAG_SRC of its prog_user.h; the packet counter lies above

bool XdpFilterIsInUse();
// Loads it, for IPv4 sources only, and blocks the first listed addresses.
Status XdpFilter(Lane* lane, int listed);
Status UnloadXdpFilter(const Lane& lane);

}  // namespace sluice::perf
