#include "policy/rules/substring_search.h"

#include <deque>

#include "policy/rules/text_match.h"

namespace sluice::policy::rules {

SubstringSearch::SubstringSearch(const std::vector<std::string>& patterns, bool fold) {
  const auto fold_byte = [&](char c) { return static_cast<unsigned char>(fold ? Fold(c) : c); };
  for (const std::string& pattern : patterns) {
    for (const char c : pattern) {
      std::uint16_t& of_byte = class_of_[fold_byte(c)];
      if (of_byte == 0) of_byte = static_cast<std::uint16_t>(classes_++);
    }
  }
  if (fold) {
    for (char c = 'A'; c <= 'Z'; ++c) class_of_[static_cast<unsigned char>(c)] = class_of_[fold_byte(c)];
  }
  // The tree of the patterns. State 0 is its root, and also "none yet".
  next_.assign(classes_, 0);
  std::vector<std::vector<std::uint32_t>> ending(1);
  for (std::uint32_t i = 0; i < patterns.size(); ++i) {
    if (patterns[i].empty()) {
      empty_.push_back(i);
      continue;
    }
    std::uint32_t state = 0;
    for (const char c : patterns[i]) {
      const std::size_t edge = state * classes_ + class_of_[fold_byte(c)];
      if (next_[edge] == 0) {
        next_[edge] = static_cast<std::uint32_t>(ending.size());
        ending.emplace_back();
        next_.resize(next_.size() + classes_, 0);
      }
      state = next_[edge];
    }
    ending[state].push_back(i);
  }
  // By length: a state's failure is its longest ending that is a state too, and its missing edges are those of it.
  std::vector<std::uint32_t> failure(ending.size(), 0);
  std::deque<std::uint32_t> queue;
  for (std::size_t c = 0; c < classes_; ++c) {
    if (next_[c] != 0) queue.push_back(next_[c]);
  }
  while (!queue.empty()) {
    const std::uint32_t state = queue.front();
    queue.pop_front();
    const auto& shorter = ending[failure[state]];
    ending[state].insert(ending[state].end(), shorter.begin(), shorter.end());
    for (std::size_t c = 0; c < classes_; ++c) {
      std::uint32_t& to = next_[state * classes_ + c];
      const std::uint32_t otherwise = next_[failure[state] * classes_ + c];
      if (to == 0) {
        to = otherwise;
      } else {
        failure[to] = otherwise;
        queue.push_back(to);
      }
    }
  }
  for (const auto& of_state : ending) {
    const auto first = static_cast<std::uint32_t>(outputs_.size());
    outputs_.insert(outputs_.end(), of_state.begin(), of_state.end());
    ends_.push_back({.first = first, .last = static_cast<std::uint32_t>(outputs_.size())});
  }
}

void SubstringSearch::Find(std::string_view text, std::span<std::uint64_t> found) const {
  const auto set = [&](std::uint32_t pattern) { found[pattern / 64] |= std::uint64_t{1} << pattern % 64; };
  for (const std::uint32_t pattern : empty_) set(pattern);
  std::uint32_t state = 0;
  for (const char c : text) {
    state = next_[state * classes_ + class_of_[static_cast<unsigned char>(c)]];
    const Ends& ends = ends_[state];
    for (std::uint32_t i = ends.first; i < ends.last; ++i) set(outputs_[i]);
  }
}

}  // namespace sluice::policy::rules
