// The suite `hooks`: what policies on hooks of the kernel cost, when they are not hit and when they are.
#pragma once

#include "perf/suite.h"

namespace sluice::perf {

std::vector<std::string> HooksRows(bool brief);
StatusOr<Report> RunHooksSuite(const RunOptions& options);

}  // namespace sluice::perf
