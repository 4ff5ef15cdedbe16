// The reference evaluators: the specification of what a hook does. Evaluate reads the policy itself and is written to
// be read beside the documentation of the format; EvaluateTables reads the compiled tables as the BPF programs do. Both
// must give the same for everything that Compile accepts. Neither knows modes, rates and rings. Pure.
#pragma once

#include <optional>

#include "policy/tracing/compile.h"
#include "policy/tracing/facts.h"

namespace sluice::policy::tracing {

inline constexpr std::size_t kResult = SL_HOOK_ARGUMENTS;  // as a position in args: what the function returns

// What a selector does at one time.
struct Deeds {
  std::optional<int> signal;
  std::optional<int> error;  // the function does not run, and returns this
  bool quarantine = false;
  std::optional<std::size_t> tracked;    // the socket at this position of args
  std::optional<std::size_t> untracked;  // likewise
  std::optional<int> enforcer_error;     // both are left for the enforcer, or neither
  std::optional<int> enforcer_signal;
  bool clears_enforcer = false;
  bool operator==(const Deeds&) const = default;
};

struct Event {
  std::int64_t rate_limit = 0;  // seconds; 0: none
  Action::RateScope rate_scope = Action::RateScope::kThread;
  bool kernel_stack = false;
  bool user_stack = false;
  bool operator==(const Event&) const = default;
};

struct Outcome {
  std::optional<std::size_t> selector;  // the first one that holds when the function begins. Absent: nothing is done
  Deeds at_begin;
  Deeds at_return;  // none if the selector's filters on the return do not hold
  std::optional<Event> event;
  bool operator==(const Outcome&) const = default;
};

Outcome Evaluate(const TracingPolicy& policy, const Hook& hook, const Facts& facts, const CompileOptions& options = {});
Outcome EvaluateTables(const CompiledPolicy& policy, const CompiledHook& hook, const Facts& facts);

}  // namespace sluice::policy::tracing
