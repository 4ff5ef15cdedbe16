#include <algorithm>

#include "perf/exec/exec_suite.h"
#include "perf/hooks/hooks_suite.h"
#include "perf/kube/kube_suite.h"
#include "perf/program/program_suite.h"
#include "perf/rate/rate_suite.h"
#include "perf/rules/rules_suite.h"
#include "perf/scale/scale_suite.h"
#include "perf/suite.h"
#include "perf/tcp/tcp_suite.h"
#include "perf/update/update_suite.h"

namespace sluice::perf {

bool IsSelected(const RunOptions& options, const std::string& name) {
  if (!options.rows.empty() && !options.rows.contains(name)) return false;
  return options.filters.empty() || std::any_of(options.filters.begin(), options.filters.end(),
                                                [&](const auto& text) { return name.find(text) != std::string::npos; });
}

bool IsAnySelected(const RunOptions& options, const std::vector<std::string>& names) {
  return std::any_of(names.begin(), names.end(), [&](const std::string& name) { return IsSelected(options, name); });
}

std::span<const Suite> Suites() {
  static constexpr Suite kSuites[] = {
      {"program", "cost of a packet in the production programs, by test run", ProgramRows, RunProgramSuite},
      {"rate", "packets per second over real interfaces, with peers", RateRows, RunRateSuite},
      {"tcp", "TCP from pod to pod, with peers: stream, request/response, connect/close", TcpRows, RunTcpSuite},
      {"exec", "program starts and ends with the process sensors off and on", ExecRows, RunExecSuite},
      {"hooks", "policies on hooks of the kernel: not hit, hit, their events and memory", HooksRows, RunHooksSuite},
      {"rules", "events through detection rules, one thread", RulesRows, RunRulesSuite},
      {"update", "time from a change to the first packet with its verdict, and traffic during changes", UpdateRows,
       RunUpdateSuite},
      {"scale", "memory, look-ups, loading and start times as the configuration grows", ScaleRows, RunScaleSuite},
      {"kube", "an API server with 10,000 pods: start, memory, changes; the CNI plugin", KubeRows, RunKubeSuite},
  };
  return kSuites;
}

}  // namespace sluice::perf
