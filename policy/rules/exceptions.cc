#include "policy/rules/exceptions.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/printable.h"
#include "policy/rules/bind.h"

namespace sluice::policy::rules {
namespace {

std::string Trimmed(std::string_view text) {
  constexpr std::string_view kBlanks = " \t\r\n";
  const std::size_t begin = text.find_first_not_of(kBlanks);
  if (begin == std::string_view::npos) return "";
  return std::string(text.substr(begin, text.find_last_not_of(kBlanks) - begin + 1));
}

const OperatorInfo* FindOperator(std::string_view name) {
  if (name == "==") name = "=";
  const auto* const at =
      std::find_if(kOperators.begin(), kOperators.end(), [&](const OperatorInfo& info) { return info.name == name; });
  return at == kOperators.end() ? nullptr : at;
}

// "startswith oneof"
bool IsWithModifier(const std::string& text) {
  const std::size_t blank = text.find_first_of(" \t");
  if (blank == std::string::npos) return false;
  const OperatorInfo* const op = FindOperator(text.substr(0, blank));
  const std::string modifier = Trimmed(text.substr(blank));
  return op != nullptr && op->right == RightSide::kText &&
         std::any_of(kModifiers.begin(), kModifiers.end(),
                     [&](const ModifierInfo& info) { return info.name == modifier; });
}

// Whether a list stands to the right of it.
bool TakesList(const std::string& text) {
  const OperatorInfo* const op = FindOperator(text);
  return IsWithModifier(text) || (op != nullptr && op->right == RightSide::kList);
}

void Fail(const Exception& exception, std::string what, LoadMessages& messages) {
  messages.Fail(LoadError::kValidate, fmt::format("exception {}: {}", PrintableWord(exception.name), what),
                exception.context);
}

void CheckField(const Exception& exception, const std::string& field, LoadMessages& messages) {
  std::size_t used = 0;
  auto operand = ParseOperand(field, used);
  const ConditionError* error = std::get_if<ConditionError>(&operand);
  std::variant<ValueExprPtr, ConditionError> bound;
  if (error == nullptr && used == field.size()) {
    // Fields that only conditions may have are right here: so a check tells, not an output.
    Condition check;
    check.check.left = std::get<Operand>(operand);
    const BindResult result = Bind(std::make_shared<Condition>(check));
    if (!result.error) return;
    return Fail(exception, result.error->what, messages);
  }
  Fail(exception, fmt::format("{} is no field", PrintableWord(field)), messages);
}

void CompleteList(Exception& exception, bool known_source, LoadMessages& messages) {
  auto& operators = exception.operators;
  if (!operators.is_there()) {
    operators = {.is_list = true};
    operators.items.assign(exception.fields.items.size(), {.text = "="});
  }
  if (exception.fields.items.size() != operators.items.size()) {
    return Fail(exception,
                fmt::format("it has {} fields and {} comps: they must be as many", exception.fields.items.size(),
                            operators.items.size()),
                messages);
  }
  for (ExceptionEntry& entry : operators.items) {
    entry.text = Trimmed(entry.text);
    if (FindOperator(entry.text) == nullptr && !IsWithModifier(entry.text)) {
      return Fail(exception, fmt::format("{} is no operator", PrintableWord(entry.text)), messages);
    }
  }
  if (!known_source) return;
  for (const ExceptionEntry& field : exception.fields.items) CheckField(exception, field.text, messages);
}

void CompleteSingle(Exception& exception, bool known_source, LoadMessages& messages) {
  auto& operators = exception.operators;
  if (!operators.is_there()) operators = {.text = "in"};
  if (operators.is_list) return Fail(exception, "fields is one field, so comps must be one operator", messages);
  operators.text = Trimmed(operators.text);
  if (!TakesList(operators.text)) {
    return Fail(exception,
                fmt::format("{}: for one field, comps is in, pmatch, intersects, or an operator with oneof, anyof or "
                            "allof",
                            PrintableWord(operators.text)),
                messages);
  }
  if (known_source) CheckField(exception, exception.fields.text, messages);
}

std::string QuotedItem(const std::string& item) {
  const bool quoted = item.starts_with('"') || item.starts_with('\'');
  return item.find(' ') != std::string::npos && !quoted ? "\"" + item + "\"" : item;
}

std::string ValueText(const ExceptionEntry& value, const std::string& op) {
  if (value.is_list) {
    std::string list;
    for (const ExceptionEntry& item : value.items) list += (list.empty() ? "" : ", ") + QuotedItem(item.text);
    return "(" + list + ")";
  }
  if (TakesList(op)) return value.text.starts_with('(') ? value.text : "(" + value.text + ")";
  return QuotedItem(value.text);
}

// "(field in (value, value))"; empty: there are no values.
std::string SingleText(const Exception& exception, LoadMessages& messages) {
  std::string values;
  for (const ExceptionEntry& value : exception.values) {
    if (value.is_list) {
      Fail(exception, "fields is one field, so values is a list of texts", messages);
      return "";
    }
    values += (values.empty() ? "" : ", ") + QuotedItem(value.text);
  }
  if (values.empty()) return "";
  return fmt::format("({} {} ({}))", exception.fields.text, exception.operators.text, values);
}

std::string ListText(const Exception& exception, LoadMessages& messages) {
  std::string alternatives;
  for (const ExceptionEntry& value : exception.values) {
    if (value.items.size() != exception.fields.items.size()) {
      Fail(exception,
           fmt::format("a list of values has {} items for {} fields: they must be as many", value.items.size(),
                       exception.fields.items.size()),
           messages);
      return "";
    }
    std::string checks;
    for (std::size_t i = 0; i < value.items.size(); ++i) {
      const std::string& op = exception.operators.items[i].text;
      checks += fmt::format("{}{} {} {}", checks.empty() ? "" : " and ", exception.fields.items[i].text, op,
                            ValueText(value.items[i], op));
    }
    alternatives += (alternatives.empty() ? "(" : " or (") + checks + ")";
  }
  return alternatives.empty() ? "" : "(" + alternatives + ")";
}

}  // namespace

void CompleteException(Exception& exception, bool known_source, LoadMessages& messages) {
  if (exception.fields.is_list) return CompleteList(exception, known_source, messages);
  CompleteSingle(exception, known_source, messages);
}

std::string WithExceptions(const std::string& condition, const std::vector<Exception>& exceptions,
                           LoadMessages& messages) {
  if (exceptions.empty()) return condition;
  std::string all = "(" + condition + ")";
  for (const Exception& exception : exceptions) {
    const std::string text = exception.fields.is_list ? ListText(exception, messages) : SingleText(exception, messages);
    if (!text.empty()) all += " and not " + text;
  }
  return all;
}

}  // namespace sluice::policy::rules
