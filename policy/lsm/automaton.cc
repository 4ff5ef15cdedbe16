#include "policy/lsm/automaton.h"

#include <algorithm>
#include <map>

namespace sluice::policy::lsm {
namespace {

// A place in one pattern: `at` elements are matched. `inside`: and the next one, a run, has taken a byte.
struct Position {
  std::uint32_t pattern = 0;
  std::uint32_t at = 0;
  bool inside = false;
  auto operator<=>(const Position&) const = default;
};
using Positions = std::vector<Position>;  // sorted; all that a prefix of a path can have led to

// The bytes that no element tells apart have one class.
void SplitClasses(const std::vector<NumberedPattern>& patterns, Automaton* automaton) {
  automaton->class_count = 1;
  for (const NumberedPattern& pattern : patterns) {
    for (const PathPattern::Element& element : pattern.elements) {
      std::map<std::pair<std::uint8_t, bool>, std::uint8_t> split;
      for (std::size_t byte = 0; byte < 256; ++byte) {
        const auto number = static_cast<std::uint8_t>(split.size());
        const auto key = std::make_pair(automaton->classes[byte], element.bytes[byte]);
        automaton->classes[byte] = (*split.emplace(key, number).first).second;
      }
      automaton->class_count = static_cast<std::uint32_t>(split.size());
    }
  }
}

class Builder {
 public:
  Builder(const std::vector<NumberedPattern>& patterns, std::size_t max_states)
      : patterns_(patterns), max_states_(max_states) {}

  std::optional<Automaton> Build() {
    SplitClasses(patterns_, &automaton_);
    for (std::size_t byte = 256; byte-- > 0;) example_[automaton_.classes[byte]] = static_cast<std::uint8_t>(byte);
    NumberOf({});
    Positions first;
    for (std::uint32_t i = 0; i < patterns_.size(); ++i) Reach({.pattern = i}, &first);
    NumberOf(Sorted(std::move(first)));
    for (std::size_t state = 0; state < states_.size(); ++state) {
      if (states_.size() > max_states_) return std::nullopt;
      const Positions from = *states_[state];
      for (std::uint32_t of_class = 0; of_class < automaton_.class_count; ++of_class) {
        automaton_.transitions.push_back(static_cast<std::uint16_t>(NumberOf(Step(from, example_[of_class]))));
      }
    }
    return std::move(automaton_);
  }

 private:
  static Positions Sorted(Positions positions) {
    std::sort(positions.begin(), positions.end());
    positions.erase(std::unique(positions.begin(), positions.end()), positions.end());
    return positions;
  }

  // The position, and those after runs that need no further byte.
  void Reach(Position position, Positions* reached) const {
    const auto& elements = patterns_[position.pattern].elements;
    for (;;) {
      reached->push_back(position);
      if (position.at == elements.size()) return;
      const PathPattern::Element& element = elements[position.at];
      if (!position.inside && (!element.run || element.at_least_one)) return;
      position = {.pattern = position.pattern, .at = position.at + 1};
    }
  }

  Positions Step(const Positions& from, std::uint8_t byte) const {
    Positions next;
    for (const Position& position : from) {
      const auto& elements = patterns_[position.pattern].elements;
      if (position.at == elements.size() || !elements[position.at].bytes[byte]) continue;
      if (elements[position.at].run) {
        Reach({.pattern = position.pattern, .at = position.at, .inside = elements[position.at].at_least_one}, &next);
      } else {
        Reach({.pattern = position.pattern, .at = position.at + 1}, &next);
      }
    }
    return Sorted(std::move(next));
  }

  std::size_t NumberOf(Positions positions) {
    const auto [known, is_new] = numbers_.emplace(std::move(positions), states_.size());
    if (!is_new) return (*known).second;
    states_.push_back(&(*known).first);
    auto& rules = automaton_.matches.emplace_back();
    for (const Position& position : (*known).first) {
      const NumberedPattern& pattern = patterns_[position.pattern];
      if (position.at == pattern.elements.size()) rules.insert(pattern.rule);
    }
    return (*known).second;
  }

  const std::vector<NumberedPattern>& patterns_;
  const std::size_t max_states_;
  Automaton automaton_;
  std::array<std::uint8_t, 256> example_{};  // a byte of each class
  std::map<Positions, std::size_t> numbers_;
  std::vector<const Positions*> states_;
};

}  // namespace

std::optional<Automaton> BuildAutomaton(const std::vector<NumberedPattern>& patterns, std::size_t max_states) {
  return Builder(patterns, max_states).Build();
}

}  // namespace sluice::policy::lsm
