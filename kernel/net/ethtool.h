// Driver settings of an interface.
#pragma once

#include <string>

#include "base/status.h"
#include "kernel/net/netlink.h"

namespace sluice::net {

// Generic receive offload: a veth end with GRO on accepts frames that XDP redirects to its other end. Read in the
// namespace of `netlink`, by its socket: the kernel passes ioctls that a netlink socket does not know to the network
// devices.
StatusOr<bool> IsGroOn(const Netlink& netlink, const std::string& interface);

}  // namespace sluice::net
