// The values of an expression for one event. Pure.
#pragma once

#include "policy/rules/bound.h"

namespace sluice::policy::rules {

// Clears `out`, and adds the values: none if a field of the expression is missing.
void ExtractValues(const ValueExpr& value, const Event& event, Values& out);

// A number as an output shows it, and lists make texts of it: "-1", "true".
std::string NumberText(ValueType type, std::uint64_t number);

}  // namespace sluice::policy::rules
