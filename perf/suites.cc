#include <algorithm>

#include "perf/exec/exec_suite.h"
#include "perf/program/program_suite.h"
#include "perf/rate/rate_suite.h"
#include "perf/scale/scale_suite.h"
#include "perf/suite.h"
#include "perf/tcp/tcp_suite.h"
#include "perf/update/update_suite.h"

namespace sluice::perf {

bool IsSelected(const RunOptions& options, const std::string& name) {
  return options.filters.empty() || std::any_of(options.filters.begin(), options.filters.end(),
                                                [&](const auto& text) { return name.find(text) != std::string::npos; });
}

bool IsAnySelected(const RunOptions& options, const std::vector<std::string>& names) {
  return std::any_of(names.begin(), names.end(), [&](const std::string& name) { return IsSelected(options, name); });
}

std::span<const Suite> Suites() {
  static constexpr Suite kSuites[] = {
      {"program", "nanoseconds a packet of the production programs, by test run", ProgramRows, RunProgramSuite},
      {"rate", "packets a second over real interfaces, beside peers", RateRows, RunRateSuite},
      {"tcp", "TCP from pod to pod, beside peers: stream, request/response, connect/close", TcpRows, RunTcpSuite},
      {"exec", "starts and ends of programs with the process sensors off and on", ExecRows, RunExecSuite},
      {"update", "from a change to the first packet evaluated by it, and traffic meanwhile", UpdateRows,
       RunUpdateSuite},
      {"scale", "memory, look-ups, loading and starts as what is known grows", ScaleRows, RunScaleSuite},
  };
  return kSuites;
}

}  // namespace sluice::perf
