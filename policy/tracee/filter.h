// One scope or filter of a policy -> a condition in the language of policy/rules. Pure.
#pragma once

#include <string>

#include "policy/resource/resource_field.h"
#include "policy/tracee/events.h"

namespace sluice::policy::tracee {

// "comm=ls,cat", "uid>=1000", "container", "not-container". Empty: it is true for every event ("global").
StatusOr<std::string> ConditionOfScope(const Field& field);

// "data.pathname=/tmp*", "retval<0", and what a scope may say.
StatusOr<std::string> ConditionOfFilter(const Field& field, const EventInfo& event);

}  // namespace sluice::policy::tracee
