// xdp-filter (xdp-tools) as a peer: its own object file drops packets from 9,999 configured IPv4 sources. We load it
// ourselves, so it is attached nowhere and needs no interface.
#pragma once

#include "perf/program/rounds.h"
#include "perf/program/runner.h"

namespace sluice::perf {

// The programs that `xdp-filter load -p allow` and `xdp-filter load -p allow -f ipv4` choose: with all features, and
// with only the needed ones.
inline constexpr char kXdpFilter[] = "peer/xdp-filter", kXdpFilterIpv4[] = "peer/xdp-filter/ipv4-only";
inline constexpr const char* kXdpFilters[] = {kXdpFilter, kXdpFilterIpv4};

// `name` is one of them. NotFound: xdp-tools is not installed. An error also when it drops a source that was not
// configured.
StatusOr<Measurement> XdpFilterPeer(const std::string& name, const Runner& runner);

}  // namespace sluice::perf
