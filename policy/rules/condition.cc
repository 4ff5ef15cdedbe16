#include "policy/rules/condition.h"

#include <fmt/format.h>

#include <algorithm>

namespace sluice::policy::rules {
namespace {

constexpr std::string_view kHex = "0123456789abcdef";

// In double quotes, so that every byte reads back as itself.
std::string Quoted(std::string_view text) {
  std::string quoted = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      quoted += '\\';
      quoted += c;
    } else if (byte < ' ' || byte == 0x7f) {
      quoted.append("\\x").append(1, kHex[byte >> 4U]).append(1, kHex[byte & 15U]);
    } else {
      quoted += c;
    }
  }
  return quoted + '"';
}

std::string JoinOperands(const std::vector<Operand>& operands) {
  std::string text;
  for (const Operand& operand : operands) text += (text.empty() ? "" : ", ") + ToText(operand);
  return text;
}

std::string ArgumentText(const std::optional<std::string>& argument) {
  if (!argument) return "";
  const bool bare = !argument->empty() && argument->find_first_of(" \t\r\n\v\f\b[]\"'\\") == std::string::npos;
  return "[" + (bare ? *argument : Quoted(*argument)) + "]";
}

std::string RightText(const Check& check) {
  if (check.right) return ToText(*check.right);
  const RightSide side = InfoOf(check.op).right;
  if (side == RightSide::kNumber) return check.texts.empty() ? "" : check.texts.front();
  if (side == RightSide::kText && check.modifier == Modifier::kNone) {
    return check.texts.empty() ? "\"\"" : Quoted(check.texts.front());
  }
  std::string list;
  for (const std::string& text : check.texts) list += (list.empty() ? "" : ", ") + Quoted(text);
  return "(" + list + ")";
}

std::string CheckText(const Check& check) {
  std::string text = ToText(check.left) + " " + std::string(InfoOf(check.op).name);
  if (check.op == Operator::kExists) return text;
  if (check.modifier != Modifier::kNone) text.append(" ").append(NameOf(check.modifier));
  return text + " " + RightText(check);
}

}  // namespace

ConditionPtr JoinParts(Condition::Kind kind, std::vector<ConditionPtr> parts, const TextPlace& place) {
  auto joined = std::make_shared<Condition>();
  joined->kind = kind;
  joined->place = place;
  for (const ConditionPtr& part : parts) {
    joined->size += part->size;
    joined->depth = std::max(joined->depth, part->depth + 1);
  }
  joined->parts = std::move(parts);
  return joined;
}

std::string ToText(const Operand& operand) {
  switch (operand.kind) {
    case Operand::Kind::kField:
      return operand.name + ArgumentText(operand.argument);
    case Operand::Kind::kText:
      return Quoted(operand.text);
    case Operand::Kind::kList:
      return "(" + JoinOperands(operand.values) + ")";
    case Operand::Kind::kTransform:
      return fmt::format("{}({}){}", InfoOf(operand.transform).name, JoinOperands(operand.values),
                         ArgumentText(operand.argument));
  }
  return "";
}

std::string ToText(const Condition& condition) {
  switch (condition.kind) {
    case Condition::Kind::kCheck:
      return CheckText(condition.check);
    case Condition::Kind::kMacro:
      return condition.macro;
    case Condition::Kind::kNot:
      return "not (" + ToText(*condition.parts.front()) + ")";
    case Condition::Kind::kAnd:
    case Condition::Kind::kOr:
      break;
  }
  std::string text;
  for (const ConditionPtr& part : condition.parts) {
    if (!text.empty()) text += condition.kind == Condition::Kind::kAnd ? " and " : " or ";
    text += "(" + ToText(*part) + ")";
  }
  return text;
}

}  // namespace sluice::policy::rules
