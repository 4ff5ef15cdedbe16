// Memory of the kernel for this process's BPF objects.
#pragma once

#include "base/status.h"

namespace sluice::perf {

// Bytes of all maps and programs that descriptors of this process keep, by themselves or through a link: what the
// kernel says of them, and the programs' machine code.
StatusOr<double> BpfBytes();

}  // namespace sluice::perf
