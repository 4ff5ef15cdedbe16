// Driver settings of an interface in the calling thread's network namespace. Thread-safe.
#pragma once

#include <string>

#include "ctrl/base/status.h"

namespace sluice::net {

// Generic receive offload: a veth end that has it on takes frames that XDP redirects to its other end.
StatusOr<bool> IsGroOn(const std::string& interface);

}  // namespace sluice::net
