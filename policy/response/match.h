// Which Responses answer what was noticed? Pure.
//   if (Answers(response, cause) && !Spares(response, cause)) ...
#pragma once

#include "policy/response/model.h"

namespace sluice::policy::response {

// What was noticed, and about whom.
struct Cause {
  Source source = Source::kHook;
  std::vector<ObjectName> policies;  // that decided; of a rule none
  std::vector<std::string> rules;    // the rule's name; of policies the rule or selector in them that decided
  std::vector<std::string> tags;
  std::optional<rules::Priority> priority;
  std::optional<std::uint8_t> severity;
  ObjectName workload;  // empty: a process of the node outside of workloads
  Labels labels;        // of the workload
};

// Whether `response` is for it: one of its conditions holds, and the workload is one of its workloads.
bool Answers(const Response& response, const Cause& cause);

// Whether the workload is one that `response` never touches.
bool Spares(const Response& response, const Cause& cause);

}  // namespace sluice::policy::response
