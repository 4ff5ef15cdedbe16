// The suite `rate`: packets a second over real interfaces, beside floors and peers.
#pragma once

#include "perf/suite.h"

namespace sluice::perf {

std::vector<std::string> RateRows(bool brief);

// On a thread and on a CPU of its own, in network namespaces that it makes and deletes.
StatusOr<Report> RunRateSuite(const RunOptions& options);

}  // namespace sluice::perf
