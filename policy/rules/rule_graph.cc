#include "policy/rules/rule_graph.h"

#include <algorithm>

#include "policy/rules/evaluate.h"
#include "policy/rules/event_sets.h"

namespace sluice::policy::rules {
namespace {

// Whether all fields of an expression begin with one of the names. True also for constants.
bool HasOnly(const ValueExpr& value, std::initializer_list<std::string_view> beginnings) {
  if (value.kind == Operand::Kind::kField) {
    return std::any_of(beginnings.begin(), beginnings.end(),
                       [&](std::string_view beginning) { return value.field.info->name.starts_with(beginning); });
  }
  return std::all_of(value.parts.begin(), value.parts.end(),
                     [&](const ValueExprPtr& part) { return HasOnly(*part, beginnings); });
}

bool HasOnly(const BoundCheck& check, std::initializer_list<std::string_view> beginnings) {
  return HasOnly(*check.left, beginnings) && (check.right == nullptr || HasOnly(*check.right, beginnings));
}

// The result of a check that needs no event. Absent: it needs one.
std::optional<bool> KnownResult(const BoundCheck& check, const KnownFacts& facts) {
  if (const auto known = KnownOfNumber(check)) return known;
  Event event;
  event.type = facts.type;
  if (IsAboutType(check)) return EvaluateCheck(check, event);
  if (!facts.on_host || !HasOnly(check, {"container.", "k8s."})) return std::nullopt;
  event.container = &HostContainer();
  return EvaluateCheck(check, event);
}

// Ancestors are several look-ups, and searching takes as long as the text.
std::uint32_t CostOf(const BoundCheck& check) {
  std::uint32_t cost = check.left->many == Many::kAny ? 8 : 1;
  switch (check.op) {
    case Operator::kContains:
    case Operator::kByteContains:
      return cost * 6;
    case Operator::kFoldedContains:
    case Operator::kGlob:
    case Operator::kFoldedGlob:
    case Operator::kPathMatch:
      return cost * 12;
    case Operator::kRegex:
      return cost * 40;
    default:
      break;
  }
  if (check.left->kind == Operand::Kind::kTransform || check.right != nullptr) cost += 10;
  return cost;
}

}  // namespace

bool IsAboutType(const BoundCheck& check) {
  const auto is_type = [](const ValueExpr& value) {
    return value.kind != Operand::Kind::kField || value.field.info->name == "evt.type" ||
           value.field.info->name == "syscall.type";
  };
  return HasOnly(check, {"evt.type", "syscall.type"}) && is_type(*check.left);
}

NodeId GraphBuilder::Add(const BoundCondition& condition, const KnownFacts& facts) {
  added_.clear();
  return AddNew(condition, facts);
}

NodeId GraphBuilder::AddNew(const BoundCondition& condition, const KnownFacts& facts) {
  if (const auto known = added_.find(&condition); known != added_.end()) return known->second;
  NodeId id = kFalse;
  if (condition.kind == Condition::Kind::kCheck) {
    id = AddLeaf(condition.check, facts);
  } else if (condition.kind == Condition::Kind::kNot) {
    id = AddNot(AddNew(*condition.parts.front(), facts));
  } else {
    std::vector<NodeId> parts;
    for (const BoundConditionPtr& part : condition.parts) parts.push_back(AddNew(*part, facts));
    id = AddJoined(condition.kind, std::move(parts));
  }
  added_[&condition] = id;
  return id;
}

NodeId GraphBuilder::AddLeaf(const std::shared_ptr<const BoundCheck>& check, const KnownFacts& facts) {
  if (const auto known = KnownResult(*check, facts)) return *known ? kTrue : kFalse;
  const auto [leaf, is_new] = leaf_ids_.try_emplace(check->key, static_cast<LeafId>(graph_.leaves.size()));
  if (is_new) graph_.leaves.push_back(check);
  return Intern(Condition::Kind::kCheck, leaf->second, {});
}

NodeId GraphBuilder::AddNot(NodeId part) {
  if (part == kTrue) return kFalse;
  if (part == kFalse) return kTrue;
  const GraphNode& node = graph_.nodes[part];
  if (node.kind == Condition::Kind::kNot) return graph_.parts[node.first];
  return Intern(Condition::Kind::kNot, 0, {part});
}

NodeId GraphBuilder::AddJoined(Condition::Kind kind, std::vector<NodeId> parts) {
  const bool is_and = kind == Condition::Kind::kAnd;
  const NodeId decides = is_and ? kFalse : kTrue;
  const NodeId neutral = is_and ? kTrue : kFalse;
  std::vector<NodeId> flat;
  for (const NodeId part : parts) {
    if (part == decides) return decides;
    if (part == neutral) continue;
    const GraphNode& node = graph_.nodes[part];
    if (node.kind != kind) {
      flat.push_back(part);
      continue;
    }
    for (std::uint32_t i = 0; i < node.count; ++i) flat.push_back(graph_.parts[node.first + i]);
  }
  std::sort(flat.begin(), flat.end());
  flat.erase(std::unique(flat.begin(), flat.end()), flat.end());
  // The result does not depend on the order, because no check has an effect.
  std::stable_sort(flat.begin(), flat.end(),
                   [&](NodeId a, NodeId b) { return graph_.nodes[a].cost < graph_.nodes[b].cost; });
  if (flat.empty()) return neutral;
  return flat.size() == 1 ? flat.front() : Intern(kind, 0, flat);
}

NodeId GraphBuilder::Intern(Condition::Kind kind, LeafId leaf, const std::vector<NodeId>& parts) {
  std::vector<std::uint32_t> key = parts;
  if (kind == Condition::Kind::kCheck) key = {leaf};
  const auto [known, is_new] = node_ids_.try_emplace({kind, key}, static_cast<NodeId>(graph_.nodes.size()));
  if (!is_new) return known->second;
  GraphNode node{.kind = kind,
                 .leaf = leaf,
                 .first = static_cast<std::uint32_t>(graph_.parts.size()),
                 .count = static_cast<std::uint32_t>(parts.size())};
  graph_.parts.insert(graph_.parts.end(), parts.begin(), parts.end());
  node.cost = kind == Condition::Kind::kCheck ? CostOf(*graph_.leaves[leaf]) : 0;
  constexpr std::uint32_t kHighCost = 1'000'000;
  for (const NodeId part : parts) node.cost = std::min(node.cost + graph_.nodes[part].cost, kHighCost);
  graph_.nodes.push_back(node);
  return known->second;
}

}  // namespace sluice::policy::rules
