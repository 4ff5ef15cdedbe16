// The suite `scale`: memory, look-ups, loading and start times as the configuration grows.
#pragma once

#include "perf/suite.h"

namespace sluice::perf {

std::vector<std::string> ScaleRows(bool brief);

StatusOr<Report> RunScaleSuite(const RunOptions& options);

}  // namespace sluice::perf
