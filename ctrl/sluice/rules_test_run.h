// Trying rules on recorded events: what `rules test` and `replay --events` do.
#pragma once

#include <string>
#include <vector>

#include "base/status.h"
#include "ctrl/sluice/verb.h"

namespace sluice::client {

struct RulesTest {
  std::vector<std::string> files;  // of rules, in the order in which they build on each other
  std::string events;              // file of events, "-" for the standard input
  bool all = false;                // all rules that an event meets, not only the first
};

// Prints an alert in Falco's JSON for each event that meets a rule. Error: what is wrong with which file, and where.
StatusOr<ExitCode> TestRules(const RulesTest& test);

}  // namespace sluice::client
