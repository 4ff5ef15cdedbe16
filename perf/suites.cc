#include <algorithm>

#include "perf/program/program_suite.h"
#include "perf/rate/rate_suite.h"
#include "perf/suite.h"
#include "perf/tcp/tcp_suite.h"

namespace sluice::perf {

bool IsSelected(const RunOptions& options, const std::string& name) {
  return options.filters.empty() || std::any_of(options.filters.begin(), options.filters.end(),
                                                [&](const auto& text) { return name.find(text) != std::string::npos; });
}

std::span<const Suite> Suites() {
  static constexpr Suite kSuites[] = {
      {"program", "nanoseconds a packet of the production programs, by test run", RunProgramSuite},
      {"rate", "packets a second over real interfaces, beside peers", RunRateSuite},
      {"tcp", "TCP from pod to pod, beside peers: stream, request/response, connect/close", RunTcpSuite},
  };
  return kSuites;
}

}  // namespace sluice::perf
