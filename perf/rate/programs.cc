#include "perf/rate/programs.h"

#include "perf/embedded_object.h"

PERF_EMBEDDED_OBJECT(rate)  // perf/bpf/rate.bpf.c

namespace sluice::perf {

StatusOr<bpf::ProgramSet> LoadRatePrograms() { return bpf::ProgramSet::Load("perf_rate", perf_rate_object()); }

}  // namespace sluice::perf
