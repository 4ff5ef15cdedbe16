// Where programs that see every process's sockets are attached.
#pragma once

#include "base/fd.h"
#include "base/status.h"

namespace sluice::bpf {

// The root of the default cgroup hierarchy, open. FailedPrecondition: it is not mounted.
StatusOr<Fd> OpenCgroupRoot();

}  // namespace sluice::bpf
