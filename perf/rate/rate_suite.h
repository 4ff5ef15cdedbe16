// The suite `rate`: packets a second over real interfaces, beside floors and peers.
#pragma once

#include "perf/suite.h"

namespace sluice::perf {

std::vector<std::string> RateRows(bool brief);

// Runs on its own thread and CPU, in network namespaces that it makes and deletes.
StatusOr<Report> RunRateSuite(const RunOptions& options);

}  // namespace sluice::perf
