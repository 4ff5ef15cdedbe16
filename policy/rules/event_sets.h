// For which event types a condition can be true, without a look at an event. Pure.
#pragma once

#include "policy/rules/bound.h"

namespace sluice::policy::rules {

// The types of all events for which the condition may be true. Falco's algorithm, whose sets decide what a rule costs:
// `=`, `!=` and `in` on evt.type restrict it, `and` intersects, `or` unites, and `not` is moved down to the checks;
// other checks say nothing. evt.num begins with 1, so that `evt.num = 0` is never true.
EventSet EventTypesOf(const BoundCondition& condition);

// The result of a check on evt.num that is the same for all events. Absent: it is another check, or depends on the
// event.
std::optional<bool> KnownOfNumber(const BoundCheck& check);

// With more types than these, a rule is looked at so often that the loader warns (LOAD_NO_EVTTYPE).
inline constexpr std::size_t kManyEventTypes = 100;

}  // namespace sluice::policy::rules
