// Which system calls the agent and its helper may make. The only user of libseccomp.
#pragma once

#include "base/status.h"

namespace sluice::rights {

// From now on the calls that the agent never makes fail with EPERM, in all threads that this one starts: other
// programs, mounts, namespaces, modules, clocks, tracing, keys, raw I/O, other address families.
Status RefuseSystemCalls();

// From now on every call fails with EPERM, except those that a ready helper makes (helper_process.h), with its
// arguments, and those for memory and for its end.
Status AllowHelperCallsOnly();

}  // namespace sluice::rights
