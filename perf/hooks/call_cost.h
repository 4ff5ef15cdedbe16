// What a hook costs a system call or a function of the kernel when no selector wants it, beside an empty program there.
#pragma once

#include <string>
#include <vector>

#include "perf/hooks/empty_program.h"
#include "perf/hooks/world.h"
#include "perf/rows.h"

namespace sluice::perf {

struct CallCostSizes {
  int rounds;
  int calls;  // of a sample
};

// Rows "call/..." and "function/...".
std::vector<std::string> CallRows();
std::vector<std::string> FunctionRows();

// The system call faccessat2 with a mode that it refuses, which is all that it does. `directory`: for two files.
Status MeasureCallCost(const CallCostSizes& sizes, const std::string& directory, const EmptyProgram& empty,
                       HookWorld* world, Rows* rows);
// The function security_file_fcntl, by fcntl. Needs kprobes.
Status MeasureFunctionCost(const CallCostSizes& sizes, const std::string& directory, const EmptyProgram& empty,
                           HookWorld* world, Rows* rows);

}  // namespace sluice::perf
