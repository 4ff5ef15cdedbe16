// Capabilities of processes by name: the adapter of libcap. Pure.
#pragma once

#include <string>

namespace sluice {

// "CAP_NET_ADMIN"; a number that has no name as "CAP_63".
std::string CapabilityName(unsigned capability);

}  // namespace sluice
