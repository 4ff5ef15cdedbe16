// Memory of the kernel for hook policies: of the programs and tables, and of policies with one hook each.
#pragma once

#include <string>
#include <vector>

#include "perf/rows.h"

namespace sluice::perf {

std::vector<std::string> MemoryRows();
Status MeasureHookMemory(Rows* rows);

}  // namespace sluice::perf
