// Rules in the form in which events are looked at: which rules does an event meet? The answers are those of
// policy/rules/evaluate.h.
//   const auto ruleset = Ruleset::Compile(rules);
//   Matcher matcher(ruleset);                       // one for each thread
//   for (const std::uint32_t i : matcher.Match(event)) Alert(ruleset->rules()[i], event);
//
// - Rules are indexed by event type and by whether the process is in a container: what an event's type and the host
// decide
//   is put in when the rules are compiled, so that a rule for another type costs nothing.
// - A condition, or a part of one, that several rules have is evaluated once for each event, a field is read once, and
// all
//   sets of texts that a field is compared with are looked up together.
#pragma once

#include <array>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "policy/rules/rule.h"
#include "policy/rules/rule_graph.h"
#include "policy/rules/substring_search.h"
#include "policy/rules/text_table.h"

namespace sluice::policy::rules {

// Which rules count when an event meets several. Falco's default is the first.
enum class MatchMode : std::uint8_t { kFirst, kAll };

// A rule, and the node that decides it.
struct RuleRoot {
  std::uint32_t rule = 0;  // index into Ruleset::rules()
  NodeId node = 0;         // or GraphBuilder::kTrue
};

// What is compared with one field, or one other value.
struct Slot {
  ValueExprPtr value;
  std::optional<TextTable> equal;           // of leaves that compare with whole texts
  std::optional<SubstringSearch> contains;  // of leaves that look for parts: if there are several
  std::optional<SubstringSearch> contains_folded;
  std::size_t contains_count = 0;
  std::size_t folded_count = 0;
};

enum class LeafKind : std::uint8_t {
  kCompare,         // as the reference evaluator does it
  kExists,          //
  kEqual,           // a bit of the slot's table
  kNotEqual,        // there, and not that bit
  kContains,        // a bit of the slot's search
  kFoldedContains,  //
};

// How a check is evaluated.
struct Leaf {
  LeafKind kind = LeafKind::kCompare;
  std::uint32_t left = 0;   // slot
  std::uint32_t right = 0;  // slot, if the check has a right side
  std::uint32_t bit = 0;    // of the slot's table or search
};

// Immutable; thread-safe.
class Ruleset {
 public:
  // Of enabled rules; the others are not in rules().
  static std::shared_ptr<const Ruleset> Compile(const std::vector<Rule>& rules);

  const std::vector<Rule>& rules() const { return rules_; }
  // The types of events that any rule can be true for: others need not be read at all.
  const EventSet& event_types() const { return event_types_; }
  // The names that rules compare addresses with (fd.sip.name, ...): somebody must know their addresses.
  std::vector<std::string> HostNames() const;

  // For Matcher.
  std::span<const RuleRoot> Roots(EventType type, bool on_host) const;
  const Graph& graph() const { return graph_; }
  const std::vector<Leaf>& leaves() const { return leaves_; }
  const std::vector<Slot>& slots() const { return slots_; }

 private:
  Ruleset() = default;
  void BuildRoots();
  void BuildSlots();
  std::uint32_t SlotOf(const ValueExprPtr& value);

  std::vector<Rule> rules_;
  EventSet event_types_;
  Graph graph_;
  std::vector<Leaf> leaves_;  // in the order of graph_.leaves
  std::vector<Slot> slots_;
  std::map<std::string, std::uint32_t> slot_ids_;
  std::vector<std::vector<RuleRoot>> root_lists_;
  // By type, for processes in containers and on the host: index into root_lists_.
  std::array<std::vector<std::uint32_t>, 2> roots_of_;
};

// One thread's memory for looking at events. Not thread-safe.
class Matcher {
 public:
  explicit Matcher(std::shared_ptr<const Ruleset> ruleset);

  // The rules that the event meets, by their index, in their order. Valid until the next call.
  std::span<const std::uint32_t> Match(const Event& event, MatchMode mode = MatchMode::kFirst);

 private:
  // What is known of a slot for the current event.
  struct SlotState {
    std::uint64_t read_at = 0;  // the event for which `values` are
    std::uint64_t equal_at = 0;
    std::uint64_t contains_at = 0;
    std::uint64_t folded_at = 0;
    std::uint32_t contains_asked = 0;
    std::uint32_t folded_asked = 0;
    const std::uint64_t* equal = nullptr;
    std::vector<std::uint64_t> equal_words;  // of a field with several values
    std::vector<std::uint64_t> contains;
    std::vector<std::uint64_t> folded;
    Values values;
  };

  bool IsTrue(NodeId node);
  bool Decide(NodeId id);
  bool DecideJoined(NodeId id, const GraphNode& node);
  bool DecideLeaf(LeafId leaf);
  bool HasBit(const Leaf& leaf);
  bool HasPart(const Leaf& leaf, const BoundCheck& check, bool folded);
  const Values& Read(std::uint32_t slot);

  std::shared_ptr<const Ruleset> ruleset_;
  const Event* event_ = nullptr;
  std::uint64_t now_ = 0;                // counts events
  std::vector<std::uint64_t> known_at_;  // by node: the event for which it is known, times two, plus the result
  // By node: the part that decided it last, and is likely to decide it again. Only cheap parts: see matcher.cc.
  std::vector<std::uint32_t> deciders_;
  std::vector<SlotState> slots_;
  Values no_values_;
  std::vector<std::uint32_t> matches_;
};

}  // namespace sluice::policy::rules
