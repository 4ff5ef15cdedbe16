// Where a workload is attached: its netns or host interface, looked up on this node.
//
// Bind must run in the network namespace that the host ends of the veths are in (the agent's). It keeps no state and
// changes nothing; thread-safe. A socket of `socket_in` reads the inside of the workload's namespace. Errors name the
// workload, the field and what was found instead:
//   NotFound             the namespace or the interface does not exist (yet)
//   FailedPrecondition   it is there but cannot be used: not a veth, no address, its host end is elsewhere
// Any other code means that the look-up itself failed (no file descriptors, no helper, a missing right), which says
// nothing about the workload.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "base/status.h"
#include "bpf/abi/events.h"
#include "kernel/net/netns.h"
#include "policy/network/snapshot.h"

namespace sluice::node {

struct BoundWorkload {
  policy::ObjectName name;
  policy::Binding binding;         // endpoint is 0: numbers are given by EndpointIds
  std::string host_interface;      // name of binding.ifindex
  std::uint64_t netns = 0;         // inode number of its network namespace; 0: not known (hostInterface)
  std::uint64_t netns_cookie = 0;  // the kernel's number of it, as net::NetNsCookie
  std::string netns_path;
  // `bridge` is set for plain ports only: forwarding, not isolated or locked, of a bridge that is up and has no VLAN
  // filtering. With hostInterface less is known of the pod's end: it takes no frames, its link-local address is derived
  // from its MAC, and the MAC is zero if the kernel does not report the other end.
  // `others` does not include TCX programs.
  sl_interface facts{};
  bool takes_frames = false;  // the pod's end has GRO, or XDP
};

StatusOr<BoundWorkload> Bind(const net::SocketIn& socket_in, const policy::Workload& workload);

// Whether `status`, an error of Bind, is a fact about the workload; otherwise nothing is known of it.
bool IsAnswer(const Status& status);

// The host end of a veth.
struct HostEnd {
  std::uint32_t ifindex = 0;
  std::string name;
};
// The host ends of workloads that Bind refuses, so that they can be closed. Requires less than Bind: the pod needs no
// address, and if its namespace cannot be read, all veths that lead there are returned. Workloads that do not exist are
// left out; an error means that the look-up failed, so that the workload may exist and be open.
using HostEndsByWorkload = std::map<policy::ObjectName, StatusOr<std::vector<HostEnd>>>;
HostEndsByWorkload FindHostEnds(const net::SocketIn& socket_in, const std::vector<const policy::Workload*>& workloads);

// All veths of this namespace whose other end is in another one.
StatusOr<std::vector<HostEnd>> AllHostEnds();

}  // namespace sluice::node
