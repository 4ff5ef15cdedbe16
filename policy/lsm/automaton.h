// Patterns of paths as deterministic automata: one step for each byte of a path, however many patterns there are. Pure.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <set>
#include <vector>

#include "policy/lsm/path_pattern.h"

namespace sluice::policy::lsm {

// One way in which a rule's pattern matches.
struct NumberedPattern {
  PathPattern::Alternative elements;
  std::uint32_t rule = 0;
};

// State 0 matches nothing any more; state 1 is the first one.
struct Automaton {
  std::array<std::uint8_t, 256> classes{};  // of each byte; bytes of a class are never told apart
  std::uint32_t class_count = 0;
  std::vector<std::uint16_t> transitions;        // [state * class_count + class]
  std::vector<std::set<std::uint32_t>> matches;  // by state: rules that match a path that ends there
};

// Absent: it would have more than `max_states` states.
std::optional<Automaton> BuildAutomaton(const std::vector<NumberedPattern>& patterns, std::size_t max_states);

}  // namespace sluice::policy::lsm
