#include "policy/rules/bind.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "base/nearest.h"
#include "base/printable.h"
#include "policy/rules/bind_values.h"

namespace sluice::policy::rules {
namespace {

bool IsTypeOfEvent(const ValueExpr& value) {
  return value.kind == Operand::Kind::kField &&
         (value.field.info->name == "evt.type" || value.field.info->name == "syscall.type");
}

std::string WithoutBlanks(std::string text) {
  std::erase_if(text, [](char c) { return c == ' ' || (c >= '\t' && c <= '\r'); });
  return text;
}

// Whether an expression of these bytes could as well be =, startswith, endswith or contains.
bool IsSimpleRegex(std::string_view pattern) {
  const auto is_run = [](char c) { return c == '+' || c == '*' || c == '?'; };
  if (pattern.starts_with('^')) pattern.remove_prefix(1);
  if (pattern.ends_with('$')) pattern.remove_suffix(1);
  if (pattern.size() > 1 && pattern[0] == '.' && is_run(pattern[1])) pattern.remove_prefix(2);
  if (pattern.size() > 1 && pattern[pattern.size() - 2] == '.' && is_run(pattern.back())) pattern.remove_suffix(2);
  return pattern.find_first_of(".+*?^$()[]{}|\\") == std::string_view::npos;
}

bool IsFunctionText(const std::string& text) {
  return std::any_of(kTransforms.begin(), kTransforms.end(), [&](const TransformInfo& info) {
    return text.starts_with(std::string(info.name) + "(") && text.ends_with(')');
  });
}

std::optional<std::string> BytesOfHex(std::string_view text) {
  const auto digit = [](char c) -> int {
    if (c >= '0' && c <= '9') return c - '0';
    const char low = static_cast<char>(c | 0x20);
    return low >= 'a' && low <= 'f' ? low - 'a' + 10 : -1;
  };
  if (text.empty() || text.size() % 2 != 0) return std::nullopt;
  std::string bytes;
  for (std::size_t i = 0; i < text.size(); i += 2) {
    const int high = digit(text[i]), low = digit(text[i + 1]);
    if (high < 0 || low < 0) return std::nullopt;
    bytes += static_cast<char>(high * 16 + low);
  }
  return bytes;
}

class Binder {
 public:
  BoundConditionPtr BindNode(const Condition& node) {
    auto bound = std::make_shared<BoundCondition>();
    bound->kind = node.kind;
    if (node.kind == Condition::Kind::kMacro)
      return Fail(fmt::format("macro {} is not expanded", node.macro), node.place);
    if (node.kind == Condition::Kind::kCheck) {
      bound->check = BindCheck(node);
      return error_ ? nullptr : bound;
    }
    for (const ConditionPtr& part : node.parts) {
      bound->parts.push_back(BindShared(part));
      if (error_) return nullptr;
    }
    return bound;
  }

  BindResult Take(BoundConditionPtr root) {
    return {.condition = error_ ? nullptr : std::move(root), .error = error_, .warnings = std::move(warnings_)};
  }

 private:
  std::nullptr_t Fail(std::string what, const TextPlace& place, bool unknown_name = false) {
    if (!error_) {
      error_ = ConditionError{.what = std::move(what), .place = place, .origin = origin_, .unknown_name = unknown_name};
    }
    return nullptr;
  }

  // A macro that is used twice is bound once.
  BoundConditionPtr BindShared(const ConditionPtr& part) {
    auto [known, is_new] = bound_.try_emplace(part.get(), nullptr);
    if (is_new) known->second = BindNode(*part);
    return known->second;
  }

  ValueExprPtr BindOperand(const Operand& operand) {
    auto bound = BindValue(operand);
    if (auto* error = std::get_if<ConditionError>(&bound)) {
      error->origin = origin_;
      if (!error_) error_ = std::move(*error);
      return nullptr;
    }
    auto value = std::get<ValueExprPtr>(bound);
    if (const FieldInfo* const field = FieldWith(*value, &FieldFlags::deprecated)) {
      Warn(fmt::format("field {}: {}", field->name, field->meaning), operand.place, true);
    }
    return value;
  }

  void Warn(std::string what, const TextPlace& place, bool deprecated = false) {
    warnings_.push_back({.what = std::move(what), .place = place, .origin = origin_, .deprecated = deprecated});
  }

  std::shared_ptr<const BoundCheck> BindCheck(const Condition& node) {
    const Check& check = node.check;
    origin_ = node.origin == nullptr ? "" : *node.origin;
    auto bound = std::make_shared<BoundCheck>();
    bound->left = BindOperand(check.left);
    if (error_) return nullptr;
    bound->op = check.op;
    bound->modifier = check.modifier;
    if (!CheckTypes(*bound, node)) return nullptr;
    if (check.right) {
      if (!BindRight(*bound, check, node)) return nullptr;
    } else if (!BindConstants(*bound, check)) {
      return nullptr;
    }
    Condition same;
    same.check = check;
    bound->key = ToText(same);
    return bound;
  }

  bool CheckTypes(const BoundCheck& bound, const Condition& node) {
    const OperatorInfo& info = InfoOf(bound.op);
    const ValueExpr& left = *bound.left;
    if (left.many == Many::kList && bound.op != Operator::kExists && bound.op != Operator::kIn &&
        bound.op != Operator::kIntersects) {
      Fail(fmt::format("{} is a list: it is compared by in, intersects or exists, not by {}", left.key, info.name),
           node.place);
      return false;
    }
    if ((info.classes & ClassOf(left.type)) == 0) {
      Fail(fmt::format("{} is of type {}, which \"{}\" does not compare", left.key, NameOf(left.type), info.name),
           node.place);
      return false;
    }
    return true;
  }

  bool BindRight(BoundCheck& bound, const Check& check, const Condition& node) {
    bound.right = BindOperand(*check.right);
    if (error_) return false;
    const ValueExpr& left = *bound.left;
    const ValueExpr& right = *bound.right;
    if (check.op == Operator::kPathMatch || check.op == Operator::kRegex) {
      Fail(fmt::format("\"{}\" does not compare with a field", InfoOf(check.op).name), check.right_place);
      return false;
    }
    for (const ValueExpr* const side : {&left, &right}) {
      if (const FieldInfo* const field = FieldWith(*side, &FieldFlags::no_operand)) {
        Fail(fmt::format("field {} is not compared with another field", field->name), node.place);
        return false;
      }
    }
    if (left.type != right.type || (left.many == Many::kList) != (right.many == Many::kList)) {
      Fail(fmt::format("{} and {} are of different types: {} and {}", left.key, right.key, NameOf(left.type),
                       NameOf(right.type)),
           check.right_place);
      return false;
    }
    return true;
  }

  bool BindConstants(BoundCheck& bound, const Check& check) {
    for (const std::string& text : check.texts) {
      if (!BindConstant(bound, check, text)) return false;
      WarnOf(check, text);
    }
    if (check.op == Operator::kPathMatch) bound.paths = std::make_shared<PathSet>(check.texts);
    return true;
  }

  bool BindConstant(BoundCheck& bound, const Check& check, const std::string& text) {
    if (check.op == Operator::kByteContains || check.op == Operator::kByteStartsWith) {
      const auto bytes = BytesOfHex(text);
      if (!bytes) {
        Fail(fmt::format("{} takes pairs of hex digits, not {}", InfoOf(check.op).name, PrintableWord(text)),
             check.right_place);
        return false;
      }
      bound.constants.push_back({.text = *bytes});
      return true;
    }
    auto constant = ParseConstant(bound.left->type, text);
    if (!constant.ok()) {
      Fail(fmt::format("{}: {}", bound.left->key, Message(constant.status())), check.right_place);
      return false;
    }
    if (IsTypeOfEvent(*bound.left) && !BindEventType(check, text)) return false;
    if (check.op == Operator::kRegex && !BindRegex(bound, check, text)) return false;
    bound.constants.push_back(*std::move(constant));
    return true;
  }

  // Only names that are compared as a whole: "evt.type startswith open" is right.
  bool BindEventType(const Check& check, const std::string& text) {
    const bool whole = check.op == Operator::kEqual || check.op == Operator::kNotEqual || check.op == Operator::kIn ||
                       check.op == Operator::kIntersects;
    if (!whole || FindEventType(text)) return true;
    std::vector<std::string> names;
    for (const std::string_view name : EventTypeNames()) names.emplace_back(name);
    const std::string near = Nearest(names, text);
    Fail(fmt::format("there is no event type {}{}", PrintableWord(text),
                     near.empty() ? "" : fmt::format(": did you mean {}?", near)),
         check.right_place, true);
    return false;
  }

  bool BindRegex(BoundCheck& bound, const Check& check, const std::string& text) {
    auto regex = Regex::Parse(text);
    if (!regex.ok()) {
      Fail(fmt::format("regex {}: {}", PrintableWord(text), Message(regex.status())), check.right_place);
      return false;
    }
    bound.regexes.push_back(*std::move(regex));
    return true;
  }

  void WarnOf(const Check& check, const std::string& text) {
    if (check.op == Operator::kRegex && IsSimpleRegex(text)) {
      Warn(fmt::format("regex {} may be written with =, startswith, endswith or contains", PrintableWord(text)),
           check.right_place);
    }
    const std::string plain = WithoutBlanks(text);
    const std::string name = plain.substr(0, plain.find('['));
    if (IsField(name) && FindField(name, ArgumentIn(plain)).ok()) {
      Warn(fmt::format("{} is compared as a text: the field of that name is val({})", PrintableWord(text), plain),
           check.right_place);
    }
    if (IsFunctionText(plain)) {
      Warn(fmt::format("{} is compared as a text: without quotes it is a function", PrintableWord(text)),
           check.right_place);
    }
  }

  static std::optional<std::string> ArgumentIn(const std::string& text) {
    const std::size_t begin = text.find('[');
    if (begin == std::string::npos || !text.ends_with(']')) return std::nullopt;
    return text.substr(begin + 1, text.size() - begin - 2);
  }

  std::map<const Condition*, BoundConditionPtr> bound_;
  std::string origin_;  // of the check that is bound
  std::optional<ConditionError> error_;
  std::vector<ConditionWarning> warnings_;
};

}  // namespace

BindResult Bind(const ConditionPtr& condition) {
  Binder binder;
  return binder.Take(binder.BindNode(*condition));
}

}  // namespace sluice::policy::rules
