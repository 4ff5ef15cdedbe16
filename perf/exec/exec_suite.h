// The suite `exec`: what the process sensors cost a program's start and end, and whether they miss any.
#pragma once

#include "perf/suite.h"

namespace sluice::perf {

std::vector<std::string> ExecRows(bool brief);

StatusOr<Report> RunExecSuite(const RunOptions& options);

}  // namespace sluice::perf
