// The pod's interface and the host end of its veth, by rtnetlink without a library, as the plugin is linked statically.
// For a process with one thread: FindPodInterface enters the pod's network namespace and comes back.
#pragma once

#include <cstdint>
#include <string>

#include "base/status.h"

namespace sluice::cni {

struct HostEnd {
  std::uint32_t ifindex = 0;
  std::string name;
};

// The other end of `ifname` in the namespace `netns` (a path), which is in the namespace of the caller.
// NotFound: no such namespace, or no such interface in it. FailedPrecondition: it is no veth, and of what kind it is;
// or its other end is in a third namespace.
StatusOr<HostEnd> FindHostEnd(const std::string& netns, const std::string& ifname);

// Lets no packet pass at this interface, in neither direction, until kernel/net's Netlink::DeleteTcFilter has removed
// the filters (api/cni.h: kClosingHandle). The interface stays up, so its routes and addresses stay.
Status CloseInterface(std::uint32_t ifindex);

}  // namespace sluice::cni
