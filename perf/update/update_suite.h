// The suite `update`: the time from a change to the first packet with its verdict, and the cost of changes for packets.
#pragma once

#include "perf/suite.h"

namespace sluice::perf {

std::vector<std::string> UpdateRows(bool brief);

StatusOr<Report> RunUpdateSuite(const RunOptions& options);

}  // namespace sluice::perf
