// One check on values that are there already. Pure.
#pragma once

#include "policy/rules/bound.h"

namespace sluice::policy::rules {

// `left` and `right` are the values of the check's sides; `right` is empty for one that compares with constants. A
// check on a missing value is false, whatever it compares.
bool Compare(const BoundCheck& check, const Values& left, const Values& right);

}  // namespace sluice::policy::rules
