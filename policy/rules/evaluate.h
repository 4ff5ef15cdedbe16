// Whether an event meets a condition: the reference evaluator, which walks the tree and says nothing about speed. It is
// the specification of docs/rules.md, and policy/rules/ruleset.h is tested against it. Pure.
#pragma once

#include "policy/rules/bound.h"

namespace sluice::policy::rules {

// A check on a missing field is false, also "!=". So "not a = b" is true for a missing field, and "a != b" is false.
bool Evaluate(const BoundCondition& condition, const Event& event);

bool EvaluateCheck(const BoundCheck& check, const Event& event);

}  // namespace sluice::policy::rules
