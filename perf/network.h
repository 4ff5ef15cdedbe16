// Network namespaces: one of the calling thread's own and what is in it, and what others are called.
#pragma once

#include <string>

#include "base/status.h"

namespace sluice::perf {

// Moves the calling thread, and those that it starts from now on. PermissionDenied names the right that is missing.
Status EnterOwnNetwork();

// Lines for `ip -batch`, in the calling thread's namespace.
Status RunIp(const std::string& lines);

StatusOr<std::uint32_t> InterfaceIndex(const std::string& name);

// From now on namespaces of tests/support are called slbench-..., unless the environment says otherwise. Before threads
// are started.
void NameNamespaces();

}  // namespace sluice::perf
