// The suite `update`: from a change to the first packet that is evaluated by it, and what changes cost the packets.
#pragma once

#include "perf/suite.h"

namespace sluice::perf {

std::vector<std::string> UpdateRows(bool brief);

StatusOr<Report> RunUpdateSuite(const RunOptions& options);

}  // namespace sluice::perf
