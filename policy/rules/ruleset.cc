#include "policy/rules/ruleset.h"

#include <algorithm>
#include <set>

#include "policy/rules/evaluate.h"

namespace sluice::policy::rules {
namespace {

using Checks = std::map<std::string, std::shared_ptr<const BoundCheck>>;

void CollectChecks(const BoundCondition& condition, std::set<const BoundCondition*>& seen, Checks& checks) {
  if (!seen.insert(&condition).second) return;
  if (condition.kind == Condition::Kind::kCheck) checks.emplace(condition.check->key, condition.check);
  for (const BoundConditionPtr& part : condition.parts) CollectChecks(*part, seen, checks);
}

Checks ChecksOf(const std::vector<Rule>& rules) {
  Checks checks;
  std::set<const BoundCondition*> seen;
  for (const Rule& rule : rules) CollectChecks(*rule.condition, seen, checks);
  return checks;
}

// Types for which all checks on evt.type have the same results are the same for all rules.
std::string SignatureOf(EventType type, const Checks& checks) {
  Event event;
  event.type = type;
  std::string signature;
  for (const auto& [key, check] : checks) {
    if (IsAboutType(*check)) signature += EvaluateCheck(*check, event) ? '1' : '0';
  }
  return signature;
}

LeafKind KindOf(const BoundCheck& check) {
  const ValueExpr& left = *check.left;
  if (check.right != nullptr || left.many == Many::kList) return LeafKind::kCompare;
  if (check.op == Operator::kExists) return LeafKind::kExists;
  if (left.type != ValueType::kText) return LeafKind::kCompare;
  const bool any = check.modifier == Modifier::kNone || check.modifier == Modifier::kAnyOf;
  switch (check.op) {
    case Operator::kEqual:
      return any ? LeafKind::kEqual : LeafKind::kCompare;
    case Operator::kIn:
    case Operator::kIntersects:
      return LeafKind::kEqual;
    case Operator::kNotEqual:
      // Of ancestors, one that differs is enough, whatever the others are.
      return check.modifier == Modifier::kNone && left.many != Many::kAny ? LeafKind::kNotEqual : LeafKind::kCompare;
    case Operator::kContains:
      return check.modifier == Modifier::kNone ? LeafKind::kContains : LeafKind::kCompare;
    case Operator::kFoldedContains:
      return check.modifier == Modifier::kNone ? LeafKind::kFoldedContains : LeafKind::kCompare;
    default:
      return LeafKind::kCompare;
  }
}

std::vector<std::string> TextsOf(const BoundCheck& check) {
  std::vector<std::string> texts;
  for (const Constant& constant : check.constants) texts.push_back(constant.text);
  return texts;
}

// What the leaves of one slot look for.
struct SlotTexts {
  std::vector<std::vector<std::string>> equal;
  std::vector<std::string> contains;
  std::vector<std::string> folded;
};

// With fewer, each search for itself is faster.
constexpr std::size_t kSearchTogether = 3;

}  // namespace

std::shared_ptr<const Ruleset> Ruleset::Compile(const std::vector<Rule>& rules) {
  const std::shared_ptr<Ruleset> ruleset(new Ruleset);
  for (const Rule& rule : rules) {
    if (!rule.enabled) continue;
    ruleset->rules_.push_back(rule);
    ruleset->event_types_ |= rule.event_types;
  }
  ruleset->BuildRoots();
  ruleset->BuildSlots();
  return ruleset;
}

void Ruleset::BuildRoots() {
  GraphBuilder builder;
  const Checks checks = ChecksOf(rules_);
  root_lists_.emplace_back();  // of types that no rule is for
  std::map<std::string, std::array<std::uint32_t, 2>> lists_of;
  for (std::size_t t = 0; t < EventTypeNames().size(); ++t) {
    const auto type = static_cast<EventType>(t);
    const auto [lists, is_new] = lists_of.try_emplace(SignatureOf(type, checks));
    for (const bool on_host : {false, true}) {
      std::uint32_t& list = lists->second[on_host ? 1 : 0];
      if (is_new) {
        std::vector<RuleRoot> roots;
        for (std::uint32_t i = 0; i < rules_.size(); ++i) {
          const NodeId node = builder.Add(*rules_[i].condition, {.type = type, .on_host = on_host});
          if (node != GraphBuilder::kFalse) roots.push_back({.rule = i, .node = node});
        }
        list = roots.empty() ? 0 : static_cast<std::uint32_t>(root_lists_.size());
        if (!roots.empty()) root_lists_.push_back(std::move(roots));
      }
      roots_of_[on_host ? 1 : 0].push_back(list);
    }
  }
  graph_ = builder.Take();
}

std::uint32_t Ruleset::SlotOf(const ValueExprPtr& value) {
  const auto [slot, is_new] = slot_ids_.try_emplace(value->key, static_cast<std::uint32_t>(slots_.size()));
  if (is_new) slots_.emplace_back().value = value;
  return slot->second;
}

void Ruleset::BuildSlots() {
  std::map<std::uint32_t, SlotTexts> texts;
  for (const auto& check : graph_.leaves) {
    Leaf leaf{.kind = KindOf(*check), .left = SlotOf(check->left)};
    if (check->right != nullptr) leaf.right = SlotOf(check->right);
    SlotTexts& of_slot = texts[leaf.left];
    if (leaf.kind == LeafKind::kEqual || leaf.kind == LeafKind::kNotEqual) {
      leaf.bit = static_cast<std::uint32_t>(of_slot.equal.size());
      of_slot.equal.push_back(TextsOf(*check));
    } else if (leaf.kind == LeafKind::kContains) {
      leaf.bit = static_cast<std::uint32_t>(of_slot.contains.size());
      of_slot.contains.push_back(check->constants.front().text);
    } else if (leaf.kind == LeafKind::kFoldedContains) {
      leaf.bit = static_cast<std::uint32_t>(of_slot.folded.size());
      of_slot.folded.push_back(check->constants.front().text);
    }
    leaves_.push_back(leaf);
  }
  for (auto& [id, of_slot] : texts) {
    Slot& slot = slots_[id];
    if (!of_slot.equal.empty()) slot.equal.emplace(of_slot.equal);
    slot.contains_count = of_slot.contains.size();
    slot.folded_count = of_slot.folded.size();
    if (slot.contains_count > kSearchTogether) slot.contains.emplace(of_slot.contains, false);
    if (slot.folded_count > kSearchTogether) slot.contains_folded.emplace(of_slot.folded, true);
  }
}

std::span<const RuleRoot> Ruleset::Roots(EventType type, bool on_host) const {
  const auto& lists = roots_of_[on_host ? 1 : 0];
  return root_lists_[type < lists.size() ? lists[type] : 0];
}

std::vector<std::string> Ruleset::HostNames() const {
  std::set<std::string> names;
  for (const auto& [key, check] : ChecksOf(rules_)) {
    if (check->left->kind != Operand::Kind::kField || !check->left->field.info->name.ends_with("ip.name")) continue;
    for (const Constant& constant : check->constants) names.insert(constant.text);
  }
  return {names.begin(), names.end()};
}

}  // namespace sluice::policy::rules
