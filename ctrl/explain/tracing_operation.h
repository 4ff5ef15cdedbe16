// What a TracingPolicy does with a program that starts, or a file that is opened, as far as its hooks are on functions
// whose arguments follow from that. Pure.
#pragma once

#include <string>
#include <vector>

#include "api/sluice.pb.h"
#include "policy/tracing/model.h"
#include "policy/tracing/scope.h"

namespace sluice::explain {

struct TracedOperation {
  enum class Kind { kExecute, kRead, kWrite };

  Kind kind = Kind::kExecute;
  std::string path;
  std::string program;  // that does it; empty: not known
  policy::tracing::Subject subject;
};

struct TracingAnswer {
  std::vector<v1::OperationExplanation::Finding> findings;  // of hooks that are reached and match
  std::vector<std::string> notes;                           // hooks that stop something, and are not known here
};

TracingAnswer AnswerOf(const policy::tracing::TracingPolicy& policy, const TracedOperation& operation);

}  // namespace sluice::explain
