// The text of a condition -> its tree. The grammar is Falco's (libs' filter language):
//   condition := and ("or" and)*          and := not ("and" not)*        not := "not"* check
//   check     := FIELD operator... | FUNCTION(...) operator... | MACRO | "(" condition ")"
// A name with a dot is a field, one without is a macro. `and` binds more than `or`. Pure.
#pragma once

#include <string>
#include <string_view>
#include <variant>

#include "policy/rules/condition.h"

namespace sluice::policy::rules {

// Each pair of parentheses counts five, as in Falco, which refuses 1000 and more too.
inline constexpr int kMaxConditionDepth = 1000;
inline constexpr std::size_t kMaxConditionBytes = 1U << 20U;

struct ConditionError {
  std::string what;
  TextPlace place;
  std::string origin = {};    // the macro in whose text `place` is; empty: none
  bool unknown_name = false;  // there is no such field or event type, here: skip-if-unknown-filter leaves the rule out
};

// `macro`: whose condition it is; empty: a rule's.
std::variant<ConditionPtr, ConditionError> ParseCondition(std::string_view text, const std::string& macro = "");

// The field or function that begins at the start of `text`, for outputs. `used`: its length.
std::variant<Operand, ConditionError> ParseOperand(std::string_view text, std::size_t& used);

}  // namespace sluice::policy::rules
