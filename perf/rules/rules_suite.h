// The suite `rules`: how fast events go through detection rules. Needs no rights and no kernel.
#pragma once

#include "perf/suite.h"

namespace sluice::perf {

std::vector<std::string> RulesRows(bool brief);

StatusOr<Report> RunRulesSuite(const RunOptions& options);

}  // namespace sluice::perf
