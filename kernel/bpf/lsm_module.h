#pragma once

#include "base/status.h"

namespace sluice::bpf {

// FailedPrecondition: the kernel was not started with `bpf` among its security modules. Then programs are attached to
// LSM hooks, and never run.
Status RequireBpfModule();

}  // namespace sluice::bpf
