// Tunnels whose outer packets a network card carries: XDP on the card sees only these, and not what is inside. Pure.
//   TunnelsOver(*here.DumpLinks(), 2);   // {"vxlan flannel.1"}
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "kernel/net/netlink.h"

namespace sluice::net {

// Kind and name of each VXLAN and Geneve device that is bound to the interface, to a VLAN of it, or to the bond or
// bridge that it is in. One that is bound to none goes by routes, which change: it counts for every interface.
// `links`: all of the namespace.
std::vector<std::string> TunnelsOver(const std::vector<LinkInfo>& links, std::uint32_t ifindex);

}  // namespace sluice::net
