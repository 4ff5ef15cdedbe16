// The kernel's connection tracking (netfilter), as far as the packet path has to know.
#pragma once

namespace sluice::net {

// Whether it follows the windows of TCP connections in the calling thread's network namespace: it tracks connections,
// and is not liberal (net.netfilter.nf_conntrack_tcp_be_liberal). It then takes what it sees after a gap for invalid.
// Where it has no entry, a datagram to ourselves on the loopback interface tells whether it would make one.
bool TracksTcpWindows();

}  // namespace sluice::net
