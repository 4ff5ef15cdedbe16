// The cost that the wrapper that rotates flows adds to the program behind it.
#pragma once

#include "perf/program/case.h"
#include "perf/suite.h"

namespace sluice::perf {

// Sets it in all rows that use the wrapper: those of `cases`, and hash floors. Computed from the report's floors; 0
// without them.
void SubtractGenerator(const std::vector<Case>& cases, Report* report);

}  // namespace sluice::perf
