// Puts lists and macros into conditions, in Falco's two ways: a list is replaced in the text, a macro in the tree.
// Pure.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "policy/rules/condition_parser.h"

namespace sluice::policy::rules {

// What a condition may grow to. A macro of macros of macros doubles with each step.
inline constexpr std::size_t kMaxConditionSize = 200'000;
inline constexpr int kMaxTreeDepth = 1'000;

// Replaces the name wherever it is between blanks, parentheses, commas, "=" or the ends of the text, in quotes too.
// Items with a space get quotes, unless they have some. For an empty list, a comma beside it goes as well. Returns
// whether there was anything to replace. Stops when the text is too long for a condition.
bool ReplaceList(std::string& text, std::string_view name, const std::vector<std::string>& items);

struct MacroDefinition {
  ConditionPtr condition;
  std::size_t order = 0;       // its place among all definitions, by which it is seen
  std::size_t last_order = 0;  // of its last change: it may use macros from before that
};
using Macros = std::map<std::string, MacroDefinition, std::less<>>;

// A tree without macros. `seen_before`: only macros of a lower order may be used. Adds the names of those that are
// used, also by others, to `used`.
std::variant<ConditionPtr, ConditionError> ExpandMacros(const ConditionPtr& condition, const Macros& macros,
                                                        std::size_t seen_before, std::vector<std::string>& used);

}  // namespace sluice::policy::rules
