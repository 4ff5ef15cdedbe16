#include <algorithm>

#include "perf/exec/exec_suite.h"
#include "perf/program/program_suite.h"
#include "perf/scale/scale_suite.h"
#include "perf/suite.h"
#include "perf/update/update_suite.h"

namespace sluice::perf {

bool IsSelected(const RunOptions& options, const std::string& name) {
  return options.filters.empty() || std::any_of(options.filters.begin(), options.filters.end(),
                                                [&](const auto& text) { return name.find(text) != std::string::npos; });
}

bool IsAnySelected(const RunOptions& options, const std::string& prefix, std::initializer_list<const char*> ends) {
  return std::any_of(ends.begin(), ends.end(), [&](const char* end) { return IsSelected(options, prefix + end); });
}

std::span<const Suite> Suites() {
  static constexpr Suite kSuites[] = {
      {"program", "nanoseconds a packet of the production programs, by test run", RunProgramSuite},
      {"exec", "starts and ends of programs with the process sensors off and on", RunExecSuite},
      {"update", "from a change to the first packet judged by it, and traffic meanwhile", RunUpdateSuite},
      {"scale", "memory, look-ups, loading and starts as what is known grows", RunScaleSuite},
  };
  return kSuites;
}

}  // namespace sluice::perf
