// Operands -> values with a type. For policy/rules/bind.cc.
#pragma once

#include <variant>

#include "policy/rules/bind.h"

namespace sluice::policy::rules {

std::variant<ValueExprPtr, ConditionError> BindValue(const Operand& operand);

// Whether a field of `value` has what `flag` forbids; the field, or null.
const FieldInfo* FieldWith(const ValueExpr& value, bool FieldFlags::*flag);

}  // namespace sluice::policy::rules
