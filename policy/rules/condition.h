// A condition as it is written: a tree of and, or, not, checks and macros. Nothing says yet that its fields exist.
//   ParseCondition("proc.name = cat and not container")   (policy/rules/condition_parser.h)
// Trees are immutable and share parts, so that a macro that is used twice is there once.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "policy/rules/operators.h"

namespace sluice::policy::rules {

// A place in the text of a condition: lines and columns from 1, the offset in bytes.
struct TextPlace {
  std::size_t offset = 0;
  int line = 1;
  int column = 1;
};

// A value of a check: a field, a function of values, a text, or a list.
struct Operand {
  enum class Kind : std::uint8_t { kField, kTransform, kText, kList };

  Kind kind = Kind::kText;
  std::string name;                     // of the field
  std::optional<std::string> argument;  // in brackets, of the field or the function
  Transform transform = Transform::kValue;
  std::string text;             // unquoted
  std::vector<Operand> values;  // of the function, or the list
  TextPlace place;
};

struct Check {
  Operand left;
  Operator op = Operator::kExists;
  Modifier modifier = Modifier::kNone;
  // One text or number, or those of the list, unless there is another field to the right.
  std::vector<std::string> texts;
  std::optional<Operand> right;
  TextPlace right_place;
};

struct Condition;
using ConditionPtr = std::shared_ptr<const Condition>;

struct Condition {
  enum class Kind : std::uint8_t { kAnd, kOr, kNot, kCheck, kMacro };

  Kind kind = Kind::kCheck;
  std::vector<ConditionPtr> parts;  // two or more of kAnd and kOr, one of kNot
  Check check;
  std::string macro;
  TextPlace place;
  std::shared_ptr<const std::string> origin;  // of checks: the macro in whose text `place` is; null: none
  // Checks, macros and operators of the whole tree, each as often as it is written; and how deep it is.
  std::size_t size = 1;
  int depth = 1;
};

// A node of kAnd, kOr or kNot with these parts: its size and depth are those of the parts and one more.
ConditionPtr JoinParts(Condition::Kind kind, std::vector<ConditionPtr> parts, const TextPlace& place);

// The condition as text, with parentheses around each part. Reads back as the same tree.
std::string ToText(const Condition& condition);
std::string ToText(const Operand& operand);  // "proc.aname[2]", "tolower(proc.name)", "\"a b\""

}  // namespace sluice::policy::rules
