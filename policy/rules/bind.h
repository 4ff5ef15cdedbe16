// Conditions without macros -> bound conditions: every field, type, operator and value is checked. Pure.
#pragma once

#include <string>
#include <variant>
#include <vector>

#include "policy/rules/bound.h"
#include "policy/rules/condition_parser.h"

namespace sluice::policy::rules {

// What is right, and probably not meant.
struct ConditionWarning {
  std::string what;
  TextPlace place;
  std::string origin;       // as in ConditionError
  bool deprecated = false;  // of a field that Falco has given up
};

struct BindResult {
  BoundConditionPtr condition;  // null: `error` is set
  std::optional<ConditionError> error;
  std::vector<ConditionWarning> warnings;
};

// The first problem is the error.
BindResult Bind(const ConditionPtr& condition);

// A field or a function for an output. Fields that only conditions may have are errors.
std::variant<ValueExprPtr, ConditionError> BindOutput(const Operand& operand);

// Reads `text` as a value of the type. Error: InvalidArgument, "the port is a number from 0 to 65535, not \"http\"".
StatusOr<Constant> ParseConstant(ValueType type, const std::string& text);

}  // namespace sluice::policy::rules
