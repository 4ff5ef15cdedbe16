// Falco's rules files and Tracee's policies on disk -> a ruleset. Keeps no state; thread-safe.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/status.h"
#include "policy/rules/ruleset.h"
#include "telemetry/detect/rule_numbers.h"

namespace sluice::detect {

struct LoadedRules {
  std::shared_ptr<const policy::rules::Ruleset> ruleset;
  std::vector<telemetry::DetectionNumbers::File> files;  // in the order in which they build on each other
  std::vector<std::string> warnings;                     // "FILE:LINE:COLUMN: ..."
  std::size_t switched_off = 0;                          // rules with `enabled: false`, or below the priority
};

struct RuleFilesOptions {
  // Files, and directories whose *.yaml and *.yml files are read by name; in this order.
  std::vector<std::string> paths;
  // Rules of a lower priority are left out.
  policy::rules::Priority lowest = policy::rules::Priority::kDebug;
};

// Error: InvalidArgument, "FILE:LINE:COLUMN: rule 'x': CODE: what": the first file that is wrong; or a file that cannot
// be read.
StatusOr<LoadedRules> LoadRuleFiles(const RuleFilesOptions& options);

// Changes when one of the files does, and when a file comes or goes. Empty texts of files that are not there count,
// too. No error: what cannot be looked at is part of the text.
std::string SignatureOf(const std::vector<std::string>& paths);

}  // namespace sluice::detect
