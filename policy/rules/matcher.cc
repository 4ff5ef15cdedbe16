#include <algorithm>

#include "policy/rules/compare.h"
#include "policy/rules/extract.h"
#include "policy/rules/ruleset.h"
#include "policy/rules/text_match.h"

namespace sluice::policy::rules {
namespace {

// Conditions seldom get to a second search on the same field; if one does, all are made in one pass.
constexpr std::uint32_t kSearchesAlone = 2;

// An expensive part that decided once must not go before the cheap ones from then on.
constexpr std::uint32_t kCheapCost = 4;

bool TestBit(const std::uint64_t* words, std::uint32_t bit) { return (words[bit / 64] >> bit % 64 & 1U) != 0; }

}  // namespace

Matcher::Matcher(std::shared_ptr<const Ruleset> ruleset)
    : ruleset_(std::move(ruleset)),
      known_at_(ruleset_->graph().nodes.size(), 0),
      deciders_(ruleset_->graph().nodes.size(), 0),
      slots_(ruleset_->slots().size()) {
  for (std::size_t i = 0; i < slots_.size(); ++i) {
    const Slot& slot = ruleset_->slots()[i];
    slots_[i].equal_words.resize(slot.equal ? slot.equal->words() : 0);
    slots_[i].contains.resize((slot.contains_count + 63) / 64);
    slots_[i].folded.resize((slot.folded_count + 63) / 64);
  }
}

std::span<const std::uint32_t> Matcher::Match(const Event& event, MatchMode mode) {
  matches_.clear();
  const auto roots = ruleset_->Roots(event.type, event.container == &HostContainer());
  if (roots.empty()) return matches_;
  event_ = &event;
  ++now_;
  for (const RuleRoot& root : roots) {
    if (root.node != GraphBuilder::kTrue && !IsTrue(root.node)) continue;
    matches_.push_back(root.rule);
    if (mode == MatchMode::kFirst) break;
  }
  return matches_;
}

bool Matcher::IsTrue(NodeId node) {
  std::uint64_t& known = known_at_[node];
  if (known >> 1U == now_) return (known & 1U) != 0;
  const bool result = Decide(node);
  known = now_ << 1U | (result ? 1 : 0);
  return result;
}

bool Matcher::Decide(NodeId id) {
  const GraphNode& node = ruleset_->graph().nodes[id];
  switch (node.kind) {
    case Condition::Kind::kAnd:
    case Condition::Kind::kOr:
      return DecideJoined(id, node);
    case Condition::Kind::kNot:
      return !IsTrue(ruleset_->graph().parts[node.first]);
    default:
      return DecideLeaf(node.leaf);
  }
}

// One false part decides an `and`, and one true part an `or`. What decided it for the last event comes first: most
// events of a type meet a rule as little as the one before, and for the same reason. The others come in the order of
// their cost.
bool Matcher::DecideJoined(NodeId id, const GraphNode& node) {
  const Graph& graph = ruleset_->graph();
  const NodeId* const parts = graph.parts.data() + node.first;
  const bool decides = node.kind == Condition::Kind::kOr;
  std::uint32_t& last = deciders_[id];
  if (IsTrue(parts[last]) == decides) return decides;
  for (std::uint32_t i = 0; i < node.count; ++i) {
    if (i == last || IsTrue(parts[i]) != decides) continue;
    if (graph.nodes[parts[i]].cost <= kCheapCost) last = i;
    return decides;
  }
  return !decides;
}

bool Matcher::DecideLeaf(LeafId id) {
  const Leaf& leaf = ruleset_->leaves()[id];
  const BoundCheck& check = *ruleset_->graph().leaves[id];
  switch (leaf.kind) {
    case LeafKind::kExists:
      return !Read(leaf.left).empty();
    case LeafKind::kEqual:
      return HasBit(leaf);
    case LeafKind::kNotEqual:
      return !HasBit(leaf) && !slots_[leaf.left].values.empty();
    case LeafKind::kContains:
      return HasPart(leaf, check, false);
    case LeafKind::kFoldedContains:
      return HasPart(leaf, check, true);
    case LeafKind::kCompare:
      break;
  }
  return Compare(check, Read(leaf.left), check.right != nullptr ? Read(leaf.right) : no_values_);
}

bool Matcher::HasBit(const Leaf& leaf) {
  SlotState& state = slots_[leaf.left];
  if (state.equal_at != now_) {
    state.equal_at = now_;
    const TextTable& table = *ruleset_->slots()[leaf.left].equal;
    const Values& values = Read(leaf.left);
    state.equal = values.size() == 1 ? table.Find(values[0].text) : nullptr;
    if (values.size() > 1) {
      std::fill(state.equal_words.begin(), state.equal_words.end(), 0);
      for (const Value& value : values.all()) {
        const std::uint64_t* const found = table.Find(value.text);
        for (std::size_t i = 0; found != nullptr && i < table.words(); ++i) state.equal_words[i] |= found[i];
      }
      state.equal = state.equal_words.data();
    }
  }
  return state.equal != nullptr && TestBit(state.equal, leaf.bit);
}

bool Matcher::HasPart(const Leaf& leaf, const BoundCheck& check, bool folded) {
  SlotState& state = slots_[leaf.left];
  const Values& values = Read(leaf.left);
  const auto& search = folded ? ruleset_->slots()[leaf.left].contains_folded : ruleset_->slots()[leaf.left].contains;
  std::uint32_t& asked = folded ? state.folded_asked : state.contains_asked;
  if (!search || ++asked <= kSearchesAlone) return Compare(check, values, no_values_);
  std::uint64_t& done_at = folded ? state.folded_at : state.contains_at;
  std::vector<std::uint64_t>& found = folded ? state.folded : state.contains;
  if (done_at != now_) {
    done_at = now_;
    std::fill(found.begin(), found.end(), 0);
    for (const Value& value : values.all()) search->Find(value.text, found);
  }
  return TestBit(found.data(), leaf.bit);
}

const Values& Matcher::Read(std::uint32_t slot) {
  SlotState& state = slots_[slot];
  if (state.read_at != now_) {
    state.read_at = now_;
    state.contains_asked = state.folded_asked = 0;
    ExtractValues(*ruleset_->slots()[slot].value, *event_, state.values);
  }
  return state.values;
}

}  // namespace sluice::policy::rules
