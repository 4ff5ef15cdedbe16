#include "policy/rules/compare.h"

#include <algorithm>

#include "policy/rules/text_match.h"

namespace sluice::policy::rules {
namespace {

template <typename T>
bool CompareOrder(Operator op, const T& a, const T& b) {
  switch (op) {
    case Operator::kLess:
      return a < b;
    case Operator::kLessEqual:
      return a <= b;
    case Operator::kGreater:
      return a > b;
    case Operator::kGreaterEqual:
      return a >= b;
    case Operator::kNotEqual:
      return a != b;
    default:
      return a == b;
  }
}

bool CompareText(Operator op, std::string_view text, std::string_view with) {
  switch (op) {
    case Operator::kContains:
    case Operator::kByteContains:
      return text.find(with) != std::string_view::npos;
    case Operator::kFoldedContains:
      return ContainsFolded(text, with);
    case Operator::kStartsWith:
    case Operator::kByteStartsWith:
      return text.starts_with(with);
    case Operator::kEndsWith:
      return text.ends_with(with);
    case Operator::kGlob:
      return MatchesGlob(with, text);
    case Operator::kFoldedGlob:
      return MatchesGlob(with, text, true);
    default:
      return CompareOrder(op, text, with);
  }
}

// One value with one constant.
bool CompareWith(const BoundCheck& check, const Value& value, std::size_t index) {
  const Constant& constant = check.constants[index];
  switch (check.left->type) {
    case ValueType::kText:
    case ValueType::kBytes:
      if (check.op == Operator::kRegex) return check.regexes[index]->Matches(value.text);
      return CompareText(check.op, value.text, constant.text);
    case ValueType::kSigned:
      return CompareOrder(check.op, static_cast<std::int64_t>(value.number),
                          static_cast<std::int64_t>(constant.number));
    case ValueType::kAddress:
      return (value.address == constant.address) != (check.op == Operator::kNotEqual);
    case ValueType::kNetwork:
      return constant.prefix.Contains(value.address) != (check.op == Operator::kNotEqual);
    default:
      return CompareOrder(check.op, value.number, constant.number);
  }
}

// One value with all constants.
bool CompareOne(const BoundCheck& check, const Value& value) {
  if (check.op == Operator::kPathMatch) return check.paths->HasBeginningOf(value.text);
  const std::size_t count = check.constants.size();
  std::size_t matches = 0;
  for (std::size_t i = 0; i < count; ++i) matches += CompareWith(check, value, i) ? 1 : 0;
  switch (check.modifier) {
    case Modifier::kOneOf:
      return matches == 1;
    case Modifier::kAllOf:
      return count > 0 && matches == count;
    default:
      return matches > 0;
  }
}

// One value with one of another field, by the type of both.
bool CompareValues(const BoundCheck& check, const Value& a, const Value& b) {
  switch (check.left->type) {
    case ValueType::kText:
    case ValueType::kBytes:
      return CompareText(check.op, a.text, b.text);
    case ValueType::kSigned:
      return CompareOrder(check.op, static_cast<std::int64_t>(a.number), static_cast<std::int64_t>(b.number));
    case ValueType::kAddress:
    case ValueType::kNetwork:
      return (a.address == b.address) != (check.op == Operator::kNotEqual);
    default:
      return CompareOrder(check.op, a.number, b.number);
  }
}

}  // namespace

bool Compare(const BoundCheck& check, const Values& left, const Values& right) {
  const bool is_list = check.left->many == Many::kList;
  if (check.op == Operator::kExists) return is_list ? !left.is_absent_list() : !left.empty();
  const auto matches = [&](const Value& value) {
    if (check.right == nullptr) return CompareOne(check, value);
    return std::any_of(right.all().begin(), right.all().end(),
                       [&](const Value& other) { return CompareValues(check, value, other); });
  };
  const auto all = left.all();
  if (is_list) {
    if (left.is_absent_list()) return false;
    return check.op == Operator::kIn ? std::all_of(all.begin(), all.end(), matches)
                                     : std::any_of(all.begin(), all.end(), matches);
  }
  if (check.left->many == Many::kEnds && check.op == Operator::kNotEqual && check.modifier == Modifier::kNone) {
    return !all.empty() && std::all_of(all.begin(), all.end(), matches);
  }
  return std::any_of(all.begin(), all.end(), matches);
}

}  // namespace sluice::policy::rules
