// What the agent said while the cases of a suite ran, and whether it is what a case expects.
#pragma once

#include <sys/types.h>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "tests/suites/case_plan.h"

namespace sluice::test {

struct SuiteAlert {
  std::string rule, source, hostname, priority;  // priority: lower case
  std::map<std::string, std::string> fields;     // of the output; what is not known is absent
};

// Alerts by the process that they are about. Lines that are no detections are left out.
using SuiteAlerts = std::multimap<pid_t, SuiteAlert>;
// `lines`: of `sluice observe --type detection -o json`; the last one may be half.
SuiteAlerts ReadAlerts(std::string_view lines);

// Empty: one of the alerts about the processes is as expected. Else why not.
std::string Judge(const Expectation& expected, const std::vector<pid_t>& processes, const SuiteAlerts& alerts);

}  // namespace sluice::test
