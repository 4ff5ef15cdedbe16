// The suite `program`: nanoseconds a packet of the production programs, by BPF_PROG_TEST_RUN.
#pragma once

#include "perf/suite.h"

namespace sluice::perf {

std::vector<std::string> ProgramRows(bool brief);

// On a thread, in a network namespace and on a CPU of its own: the caller stays where it is.
StatusOr<Report> RunProgramSuite(const RunOptions& options);

}  // namespace sluice::perf
