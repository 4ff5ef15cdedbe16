// xdp-filter (xdp-tools) as a peer. Its maps have one fixed place on the machine, so one lane at a time can have it,
// and none where it is in use already.
#pragma once

#include "perf/rate/lane.h"

namespace sluice::perf {

inline constexpr int kXdpFilterAddresses = 9999;  // what its table takes, less its counter

bool XdpFilterIsInUse();
// Loads it, for IPv4 sources only, and blocks that many listed addresses.
Status XdpFilter(Lane* lane);
Status UnloadXdpFilter(const Lane& lane);

}  // namespace sluice::perf
