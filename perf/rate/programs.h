// The object of perf/bpf/rate.bpf.c.
#pragma once

#include "kernel/bpf/testing/program_set.h"

namespace sluice::perf {

StatusOr<bpf::ProgramSet> LoadRatePrograms();

}  // namespace sluice::perf
