// The state of the kernel's connection tracking (netfilter) that the packet path needs.
#pragma once

namespace sluice::net {

// Whether it checks the windows of TCP connections in the calling thread's network namespace: it tracks connections,
// and is not liberal (net.netfilter.nf_conntrack_tcp_be_liberal). Packets after a gap are then invalid for it. If it
// has no entry, this sends a datagram to ourselves on the loopback interface, to see if that makes one.
bool TracksTcpWindows();

}  // namespace sluice::net
