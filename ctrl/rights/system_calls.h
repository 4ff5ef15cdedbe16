// Which system calls the agent and its helper may make. The only user of libseccomp.
#pragma once

#include "base/status.h"

namespace sluice::rights {

// From now on the calls that the agent never makes fail with EPERM, in all threads that this one starts: other
// programs, mounts, namespaces, modules, clocks, tracing, keys, raw I/O, other address families.
Status RefuseSystemCalls();

// Likewise every call but those that the helper makes when it is ready (helper_process.h), with the arguments that it
// makes them with; and what it takes to have memory and to end.
Status AllowHelperCallsOnly();

}  // namespace sluice::rights
