// xdp-filter (xdp-tools) as a peer: its own object file drops a packet from one of the 9,999 IPv4 sources that it was
// told. Loaded by us, so that it stands nowhere on this machine and needs no interface.
#pragma once

#include "perf/program/rounds.h"
#include "perf/program/runner.h"

namespace sluice::perf {

// As `xdp-filter load -p allow` and `xdp-filter load -p allow -f ipv4` choose it: with all that it can, and with the
// least that is enough.
inline constexpr char kXdpFilter[] = "peer/xdp-filter", kXdpFilterIpv4[] = "peer/xdp-filter/ipv4-only";
inline constexpr const char* kXdpFilters[] = {kXdpFilter, kXdpFilterIpv4};

// `name` is one of them. NotFound: xdp-tools is not installed. An error also when a source that it was not told is
// dropped.
StatusOr<Measurement> XdpFilterPeer(const std::string& name, const Runner& runner);

}  // namespace sluice::perf
