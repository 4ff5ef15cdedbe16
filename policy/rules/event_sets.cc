#include "policy/rules/event_sets.h"

#include <algorithm>
#include <map>

namespace sluice::policy::rules {
namespace {

bool IsField(const ValueExpr& value, std::string_view name) {
  return value.kind == Operand::Kind::kField && value.field.info->name == name;
}

// The types that a check on evt.type is true for. Absent: it says nothing about types.
std::optional<EventSet> TypesOfCheck(const BoundCheck& check) {
  if (const auto known = KnownOfNumber(check)) return *known ? AllEventTypes() : EventSet();
  if (!IsField(*check.left, "evt.type") && !IsField(*check.left, "syscall.type")) return std::nullopt;
  if (check.op == Operator::kExists) return AllEventTypes();
  if (check.modifier != Modifier::kNone || check.right != nullptr) return std::nullopt;
  if (check.op != Operator::kEqual && check.op != Operator::kNotEqual && check.op != Operator::kIn) return std::nullopt;
  EventSet types;
  for (const Constant& constant : check.constants) {
    if (const auto type = FindEventType(constant.text)) types.set(*type);
  }
  return check.op == Operator::kNotEqual ? AllEventTypes() & ~types : types;
}

// Shared parts are looked at once for each sign.
class TypeFinder {
 public:
  EventSet Find(const BoundCondition& node, bool negated) {
    const auto key = std::make_pair(&node, negated);
    if (const auto known = known_.find(key); known != known_.end()) return known->second;
    const EventSet types = FindNew(node, negated);
    known_.emplace(key, types);
    return types;
  }

 private:
  EventSet FindNew(const BoundCondition& node, bool negated) {
    if (node.kind == Condition::Kind::kNot) return Find(*node.parts.front(), !negated);
    if (node.kind == Condition::Kind::kCheck) {
      const auto types = TypesOfCheck(*node.check);
      if (!types) return AllEventTypes();
      return negated ? AllEventTypes() & ~*types : *types;
    }
    const bool intersect = (node.kind == Condition::Kind::kAnd) != negated;
    EventSet types = intersect ? AllEventTypes() : EventSet();
    for (const BoundConditionPtr& part : node.parts) {
      const EventSet of_part = Find(*part, negated);
      types = intersect ? types & of_part : types | of_part;
    }
    return types;
  }

  std::map<std::pair<const BoundCondition*, bool>, EventSet> known_;
};

}  // namespace

std::optional<bool> KnownOfNumber(const BoundCheck& check) {
  if (!IsField(*check.left, "evt.num") || check.right != nullptr || check.op == Operator::kExists) return std::nullopt;
  if (check.op == Operator::kIn) {
    const bool never = std::all_of(check.constants.begin(), check.constants.end(),
                                   [](const Constant& one) { return one.number == 0; });
    return never ? std::optional(false) : std::nullopt;
  }
  if (check.modifier != Modifier::kNone || check.constants.size() != 1) return std::nullopt;
  const std::uint64_t number = check.constants.front().number;
  switch (check.op) {
    case Operator::kEqual:
    case Operator::kLessEqual:
      return number == 0 ? std::optional(false) : std::nullopt;
    case Operator::kLess:
      return number <= 1 ? std::optional(false) : std::nullopt;
    case Operator::kNotEqual:
    case Operator::kGreater:
      return number == 0 ? std::optional(true) : std::nullopt;
    case Operator::kGreaterEqual:
      return number <= 1 ? std::optional(true) : std::nullopt;
    default:
      return std::nullopt;
  }
}

EventSet EventTypesOf(const BoundCondition& condition) { return TypeFinder().Find(condition, false); }

}  // namespace sluice::policy::rules
