// The policies that would allow exactly one flow that is denied now, as documents to apply. Uses the reference
// evaluator. Pure.
//   for (const Suggestion& one : Suggest(snapshot, flow, quarantine).policies) Print(one.yaml);
#pragma once

#include <string>
#include <vector>

#include "policy/network/evaluate.h"

namespace sluice::policy {

struct Suggestion {
  Direction direction = Direction::kIngress;
  ObjectName subject;  // the workload at the end that denies
  // One document. A policy of Kubernetes' kind if that is enough; of Sluice's kind for a rule that names a program, or
  // if Kubernetes' kind would isolate workloads that are not isolated now.
  std::string yaml;
};

struct Suggestions {
  std::vector<Suggestion> policies;  // egress first; both are needed. Empty: see `notes`
  // One sentence each: why there is no policy for it, or whom its selectors also mean.
  std::vector<std::string> notes;
};

// `flow` with a process at an end that denies: the rule there is for this program only. Every known pod is evaluated,
// as for explain. Allows nothing that a Deny rule stops, so there is no suggestion against one.
Suggestions Suggest(const Snapshot& snapshot, const Flow& flow, const Quarantine& quarantine = {});

}  // namespace sluice::policy
