// Many small files with no, one and many policies on the system call that opens them.
#pragma once

#include <string>
#include <vector>

#include "perf/hooks/empty_program.h"
#include "perf/hooks/world.h"
#include "perf/rows.h"

namespace sluice::perf {

struct FileMixSizes {
  int rounds;
  int files;   // in the tree
  int passes;  // over the tree, in a sample
  int compilations;
  int compiled_files;
};

std::vector<std::string> FileRows();      // "files/...": system calls alone
std::vector<std::string> CompilerRows();  // "compiler/..."

Status MeasureFileMix(const FileMixSizes& sizes, const std::string& directory, const EmptyProgram& empty,
                      HookWorld* world, Rows* rows);
// Needs `cc`.
Status MeasureCompilerMix(const FileMixSizes& sizes, const std::string& directory, const EmptyProgram& empty,
                          HookWorld* world, Rows* rows);

}  // namespace sluice::perf
