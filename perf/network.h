// Network namespaces: a private one for the calling thread with its interfaces, and the names of others.
#pragma once

#include <string>

#include "base/status.h"

namespace sluice::perf {

// Moves the calling thread and the threads it starts later. PermissionDenied names the missing right.
Status EnterOwnNetwork();

// Runs lines of `ip -batch` in the calling thread's namespace.
Status RunIp(const std::string& lines);

StatusOr<std::uint32_t> InterfaceIndex(const std::string& name);

// From now on the namespaces of tests/support are named slbench-..., unless the environment says otherwise. Call it
// before threads start.
void NameNamespaces();

}  // namespace sluice::perf
