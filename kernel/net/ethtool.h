// Driver settings of an interface.
#pragma once

#include <string>

#include "base/status.h"
#include "kernel/net/netlink.h"

namespace sluice::net {

// Generic receive offload: a veth end that has it on takes frames that XDP redirects to its other end. Asked in the
// namespace of `netlink`, by its socket: the kernel hands on what a netlink socket is asked for and has no answer to.
StatusOr<bool> IsGroOn(const Netlink& netlink, const std::string& interface);

}  // namespace sluice::net
