#include "policy/resource/label_selector.h"

#include "policy/resource/resource_syntax.h"

namespace sluice::policy {
namespace {

using Requirement = Selector::Requirement;
using Operator = Selector::Operator;

std::string_view Trim(std::string_view text) {
  const std::size_t begin = text.find_first_not_of(" \t");
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(" \t") - begin + 1);
}

// Splits at commas, but not inside parentheses.
std::vector<std::string_view> Parts(std::string_view text) {
  std::vector<std::string_view> parts;
  std::size_t begin = 0;
  bool inside = false;
  for (std::size_t i = 0; i <= text.size(); ++i) {
    if (i == text.size() || (text[i] == ',' && !inside)) {
      parts.push_back(Trim(text.substr(begin, i - begin)));
      begin = i + 1;
    } else if (text[i] == '(' || text[i] == ')') {
      inside = text[i] == '(';
    }
  }
  return parts;
}

// "key in (a, b)", once the operator is known.
bool ReadSet(std::string_view part, std::string_view word, Operator op, Requirement& requirement) {
  const std::size_t at = part.find(word);
  if (at == std::string_view::npos || !part.ends_with(')')) return false;
  std::string_view values = part.substr(at + word.size());
  values.remove_suffix(1);
  requirement = {.key = std::string(Trim(part.substr(0, at))), .op = op, .values = {}};
  for (const std::string_view value : Parts(values)) requirement.values.emplace_back(value);
  return true;
}

Requirement ReadPart(std::string_view part) {
  Requirement requirement;
  if (ReadSet(part, " notin (", Operator::kNotIn, requirement)) return requirement;
  if (ReadSet(part, " in (", Operator::kIn, requirement)) return requirement;
  if (part.starts_with('!')) return {.key = std::string(part.substr(1)), .op = Operator::kDoesNotExist, .values = {}};
  const std::size_t equals = part.find('=');
  if (equals == std::string_view::npos) return {.key = std::string(part), .op = Operator::kExists, .values = {}};
  std::string_view key = part.substr(0, equals), value = part.substr(equals + 1);
  const bool differs = key.ends_with('!');
  if (differs) key.remove_suffix(1);
  if (value.starts_with('=')) value.remove_prefix(1);
  return {.key = std::string(Trim(key)),
          .op = differs ? Operator::kNotIn : Operator::kIn,
          .values = {std::string(Trim(value))}};
}

}  // namespace

StatusOr<Selector> ParseLabelSelector(std::string_view text) {
  Selector selector;
  if (Trim(text).empty()) return selector;
  for (const std::string_view part : Parts(text)) {
    Requirement requirement = ReadPart(part);
    std::string wrong = CheckLabelKey(requirement.key);
    for (const std::string& value : requirement.values) {
      if (wrong.empty()) wrong = CheckLabelValue(value);
    }
    if (!wrong.empty()) return InvalidError("label selector {}: {}", part, wrong);
    selector.requirements.push_back(std::move(requirement));
  }
  return selector;
}

}  // namespace sluice::policy
