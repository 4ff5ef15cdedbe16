// The process at a workload's end of a flow, as rules see it (rules 41 to 47 of docs/policy.md). Pure.
#pragma once

#include <string>
#include <vector>

#include "policy/resource/model.h"

namespace sluice::policy {

struct Process {
  std::string binary;                  // as the kernel resolved it; empty: not known
  std::string script;                  // the name of the "#!" script that it runs; empty: none
  std::vector<std::string> ancestors;  // programs and scripts of all its earlier instances and of all its parents
  bool more_ancestors = false;         // some ancestors are not known
};

// Nothing is known, for example for a forwarded packet.
inline const Process kUnknownProcess{.binary = "", .script = "", .ancestors = {}, .more_ancestors = true};

enum class Met { kNo, kYes, kNotKnown };

Met Meets(const Process& process, const ProcessMatch& match);

// Whether `rule`, which names processes, matches an unknown process: depends on the rule's action and on the policy's
// unknownProcesses.
bool MatchesUnknown(const NetworkPolicy& policy, const Rule& rule);

}  // namespace sluice::policy
