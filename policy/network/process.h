// The process at a workload's end of a flow, as far as rules ask about it (rules 41 to 47 of docs/policy.md). Pure.
#pragma once

#include <string>
#include <vector>

#include "policy/resource/model.h"

namespace sluice::policy {

struct Process {
  std::string binary;                  // as the kernel resolved it; empty: not known
  std::string script;                  // the name of the "#!" script that it runs; empty: none
  std::vector<std::string> ancestors;  // programs and scripts of all its earlier lives and of all its parents
  bool more_ancestors = false;         // not all of them are known
};

// Nothing is known of it, as of a packet that was forwarded.
inline const Process kUnknownProcess{.binary = "", .script = "", .ancestors = {}, .more_ancestors = true};

enum class Met { kNo, kYes, kNotKnown };

Met Meets(const Process& process, const ProcessMatch& match);

// Whether a rule of `policy` that asks for a process matches one of which it is not known: what is closed, or what is
// open.
bool MatchesUnknown(const NetworkPolicy& policy, const Rule& rule);

}  // namespace sluice::policy
