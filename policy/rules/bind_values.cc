#include "policy/rules/bind_values.h"

#include <fmt/format.h>

#include "base/printable.h"

namespace sluice::policy::rules {
namespace {

using Bound = std::variant<ValueExprPtr, ConditionError>;

ConditionError ErrorAt(const Operand& operand, std::string what) {
  return {.what = std::move(what), .place = operand.place};
}

std::string TypeOf(const ValueExpr& value) {
  return fmt::format("{}{}", value.many == Many::kList ? "a list of " : "", NameOf(value.type));
}

bool IsText(const ValueExpr& value) { return value.type == ValueType::kText; }
bool IsList(const ValueExpr& value) { return value.many == Many::kList; }

Bound BindField(const Operand& operand) {
  auto use = FindField(operand.name, operand.argument);
  if (!use.ok()) {
    ConditionError error = ErrorAt(operand, Message(use.status()));
    error.unknown_name = !IsField(operand.name);
    return error;
  }
  auto value = std::make_shared<ValueExpr>();
  value->kind = Operand::Kind::kField;
  value->field = *std::move(use);
  value->type = value->field.info->type;
  value->many = ManyOf(value->field);
  value->key = ToText(operand);
  return value;
}

// Functions of one value.
std::string TypeOfOne(ValueExpr& function) {
  const ValueExpr& value = *function.parts.front();
  function.type = value.type;
  function.many = value.many;
  switch (function.transform) {
    case Transform::kValue:
      return "";
    case Transform::kLower:
    case Transform::kUpper:
    case Transform::kBaseName:
      return IsText(value) ? "" : fmt::format("is of texts, not of {}", TypeOf(value));
    case Transform::kBase64:
      return IsText(value) || value.type == ValueType::kBytes ? ""
                                                              : fmt::format("is of texts, not of {}", TypeOf(value));
    case Transform::kLength:
      function.type = ValueType::kUnsigned;
      function.many = Many::kOne;
      if (IsList(value) || IsText(value) || value.type == ValueType::kBytes) return "";
      return fmt::format("is of texts and lists, not of {}", TypeOf(value));
    default:
      return "needs two values or more";
  }
}

std::string TypeOfJoin(const ValueExpr& function) {
  if (function.parts.size() != 2) return "needs two values: a separator and a list";
  if (IsList(*function.parts[0]) || !IsText(*function.parts[0])) return "needs a text as separator";
  return IsList(*function.parts[1]) ? "" : "needs a list as second value";
}

std::string TypeOfConcat(const ValueExpr& function) {
  for (const ValueExprPtr& part : function.parts) {
    if (IsList(*part) || !IsText(*part)) return fmt::format("is of texts, not of {}", TypeOf(*part));
  }
  return "";
}

std::string TypeOfOptions(ValueExpr& function) {
  if (function.parts.size() != 2) return "needs two values: a list and the options";
  if (!IsList(*function.parts[0]) || !IsText(*function.parts[0])) return "needs a list of texts as first value";
  if (IsList(*function.parts[1]) || !IsText(*function.parts[1])) return "needs a text as second value";
  function.many = function.option ? Many::kOne : Many::kList;
  return "";
}

// Sets the type of the function. What is wrong, or "".
std::string TypeOfFunction(ValueExpr& function) {
  function.type = ValueType::kText;
  if (function.parts.size() == 1) return TypeOfOne(function);
  switch (function.transform) {
    case Transform::kJoin:
      return TypeOfJoin(function);
    case Transform::kConcat:
      return TypeOfConcat(function);
    case Transform::kGetOption:
      return TypeOfOptions(function);
    default:
      return "is of one value";
  }
}

std::string ArgumentOfFunction(const Operand& operand, ValueExpr& function) {
  if (!operand.argument) return "";
  if (operand.transform != Transform::kGetOption) return "has no argument in brackets";
  if (operand.argument->size() != 1) return "has one letter in brackets";
  function.option = operand.argument->front();
  return "";
}

// The values of a function or a list.
std::optional<ConditionError> BindParts(const Operand& operand, ValueExpr& whole) {
  for (const Operand& part : operand.values) {
    Bound bound = BindValue(part);
    if (const auto* error = std::get_if<ConditionError>(&bound)) return *error;
    whole.parts.push_back(std::get<ValueExprPtr>(bound));
  }
  return std::nullopt;
}

Bound BindFunction(const Operand& operand) {
  auto function = std::make_shared<ValueExpr>();
  function->kind = Operand::Kind::kTransform;
  function->transform = operand.transform;
  function->key = ToText(operand);
  if (auto error = BindParts(operand, *function)) return *error;
  std::string problem = ArgumentOfFunction(operand, *function);
  if (problem.empty()) problem = TypeOfFunction(*function);
  if (!problem.empty()) return ErrorAt(operand, fmt::format("{}() {}", InfoOf(operand.transform).name, problem));
  if (operand.transform == Transform::kValue) return function->parts.front();
  if (const FieldInfo* const field = FieldWith(*function, &FieldFlags::no_transform)) {
    return ErrorAt(operand, fmt::format("field {} cannot be in {}()", field->name, InfoOf(operand.transform).name));
  }
  return function;
}

// Numbers in a list become texts.
Bound BindList(const Operand& operand) {
  auto list = std::make_shared<ValueExpr>();
  list->kind = Operand::Kind::kList;
  list->many = Many::kList;
  list->key = ToText(operand);
  if (auto error = BindParts(operand, *list)) return *error;
  for (const ValueExprPtr& part : list->parts) {
    if (!IsText(*part) && !IsNumber(part->type)) {
      return ErrorAt(operand, fmt::format("a list has texts and numbers, not {}", TypeOf(*part)));
    }
  }
  return list;
}

}  // namespace

std::variant<ValueExprPtr, ConditionError> BindValue(const Operand& operand) {
  switch (operand.kind) {
    case Operand::Kind::kField:
      return BindField(operand);
    case Operand::Kind::kTransform:
      return BindFunction(operand);
    case Operand::Kind::kList:
      return BindList(operand);
    case Operand::Kind::kText:
      break;
  }
  auto value = std::make_shared<ValueExpr>();
  value->text = operand.text;
  value->key = ToText(operand);
  return value;
}

const FieldInfo* FieldWith(const ValueExpr& value, bool FieldFlags::*flag) {
  if (value.kind == Operand::Kind::kField) return value.field.info->flags.*flag ? value.field.info : nullptr;
  for (const ValueExprPtr& part : value.parts) {
    if (const FieldInfo* const field = FieldWith(*part, flag)) return field;
  }
  return nullptr;
}

std::variant<ValueExprPtr, ConditionError> BindOutput(const Operand& operand) {
  auto bound = BindValue(operand);
  if (const auto* value = std::get_if<ValueExprPtr>(&bound)) {
    if (const FieldInfo* const field = FieldWith(**value, &FieldFlags::filter_only)) {
      return ErrorAt(operand, fmt::format("field {} has no value of its own: it is only for conditions", field->name));
    }
  }
  return bound;
}

}  // namespace sluice::policy::rules
