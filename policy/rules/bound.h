// A condition whose names are known and whose values are read: what the evaluators take. Made by policy/rules/bind.h.
// Immutable; parts are shared.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "policy/rules/condition.h"
#include "policy/rules/fields.h"
#include "policy/rules/path_set.h"
#include "policy/rules/regex.h"

namespace sluice::policy::rules {

struct ValueExpr;
using ValueExprPtr = std::shared_ptr<const ValueExpr>;

// Where values come from: a field, a constant, a list of these, or a function of one or more of them.
struct ValueExpr {
  Operand::Kind kind = Operand::Kind::kText;
  FieldUse field;
  std::string text;
  Transform transform = Transform::kValue;
  std::optional<char> option;  // of getopt(...)[c]
  std::vector<ValueExprPtr> parts;
  ValueType type = ValueType::kText;
  Many many = Many::kOne;
  // The same key, the same values: the expression as text.
  std::string key;
};

// A value that a rule compares with, read as the type of the left side.
struct Constant {
  std::string text;  // kText; kBytes: the bytes themselves
  std::uint64_t number = 0;
  Address address;
  Prefix prefix;  // of kNetwork
};

struct BoundCheck {
  ValueExprPtr left;
  Operator op = Operator::kExists;
  Modifier modifier = Modifier::kNone;
  std::vector<Constant> constants;
  ValueExprPtr right;                                 // null: compared with constants
  std::vector<std::shared_ptr<const Regex>> regexes;  // one for each constant of kRegex
  std::shared_ptr<const PathSet> paths;               // the constants of kPathMatch
  std::string key;                                    // the same key, the same result
};

struct BoundCondition;
using BoundConditionPtr = std::shared_ptr<const BoundCondition>;

struct BoundCondition {
  Condition::Kind kind = Condition::Kind::kCheck;  // never kMacro
  std::vector<BoundConditionPtr> parts;
  std::shared_ptr<const BoundCheck> check;
};

}  // namespace sluice::policy::rules
