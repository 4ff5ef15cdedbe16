// The suite `program`: nanoseconds a packet of the production programs, by BPF_PROG_TEST_RUN.
#pragma once

#include "perf/suite.h"

namespace sluice::perf {

std::vector<std::string> ProgramRows(bool brief);

// Runs on its own thread, network namespace and CPU; the caller is not moved.
StatusOr<Report> RunProgramSuite(const RunOptions& options);

}  // namespace sluice::perf
