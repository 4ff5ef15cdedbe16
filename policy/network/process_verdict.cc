#include "policy/network/process_verdict.h"

#include <algorithm>
#include <cstring>
#include <map>

#include "policy/network/process.h"
#include "policy/network/stable_id.h"

namespace sluice::policy {

PatternTable::PatternTable(const std::vector<Ruleset>& rulesets) {
  for (const Ruleset& ruleset : rulesets) {
    for (const NetworkPolicy* policy : ruleset.policies) {
      for (const Rule& rule : policy->rules(ruleset.direction)) {
        if (!rule.processes) continue;
        for (const auto* list : {&rule.processes->binaries, &rule.processes->ancestors}) {
          patterns_.insert(patterns_.end(), list->begin(), list->end());
        }
      }
    }
  }
  std::sort(patterns_.begin(), patterns_.end());
  patterns_.erase(std::unique(patterns_.begin(), patterns_.end()), patterns_.end());
}

std::uint64_t PatternTable::BitsOf(const std::vector<std::string>& patterns) const {
  std::uint64_t bits = 0;
  for (const std::string& pattern : patterns) {
    bits |= 1ULL << (std::lower_bound(patterns_.begin(), patterns_.end(), pattern) - patterns_.begin());
  }
  return bits;
}

Condition PatternTable::ConditionOf(const NetworkPolicy& policy, const Rule& rule) const {
  return {BitsOf(rule.processes->binaries), BitsOf(rule.processes->ancestors), MatchesUnknown(policy, rule)};
}

std::vector<std::string> PatternTable::PatternsOf(std::uint64_t bits) const {
  std::vector<std::string> patterns;
  for (std::size_t bit = 0; bit < patterns_.size(); bit++) {
    if ((bits >> bit & 1) != 0) patterns.push_back(patterns_[bit]);
  }
  return patterns;
}

FlatMap<std::uint32_t, sl_program_pattern> PatternTable::Table() const {
  std::vector<std::pair<std::uint32_t, sl_program_pattern>> table;
  for (std::uint32_t bit = 0; bit < patterns_.size(); bit++) {
    sl_program_pattern pattern = {};
    pattern.length = static_cast<std::uint32_t>(patterns_[bit].size());
    std::memcpy(pattern.text, patterns_[bit].data(), patterns_[bit].size());
    table.emplace_back(bit, pattern);
  }
  return FlatMap<std::uint32_t, sl_program_pattern>(std::move(table));
}

IndexedBy<PoolIndex, SlotIndex> PlaceChoices(const ProcessVerdictPool<PoolIndex>& process_verdicts,
                                             const PatternTable& patterns, const PortTablePool<PoolIndex>& tables,
                                             const DecisionNumbers& numbers, std::size_t limit) {
  // Keyed by the patterns' text, because their bits change when other patterns come or go.
  std::map<std::string, PoolIndex> by_key;
  for (std::uint32_t i = 0; i < process_verdicts.all().size(); i++) {
    const ProcessVerdict<PoolIndex>& process_verdict = process_verdicts.all()[PoolIndex{i}];
    CanonicalKey key;
    for (const Condition& condition : process_verdict.conditions) {
      for (const std::uint64_t bits : {condition.binaries, condition.ancestors}) {
        const std::vector<std::string> names = patterns.PatternsOf(bits);
        key.Add(names.size());
        for (const std::string& name : names) key.Add(name);
      }
      key.Add(condition.if_unknown);
    }
    for (const auto& outcome : tables.all()[process_verdict.outcomes]) key.Add(Raw(numbers[outcome.answer]));
    by_key.emplace(key.bytes(), PoolIndex{i});
  }
  std::vector<std::string> keys;
  for (const auto& [key, index] : by_key) keys.push_back(key);
  const std::vector<std::uint32_t> ids =
      AssignStableIds(keys, {.first = 0, .count = static_cast<std::uint32_t>(limit)});
  IndexedBy<PoolIndex, SlotIndex> places(ids.size());
  std::size_t next = 0;
  for (const auto& [key, index] : by_key) places[index] = SlotIndex{ids[next++]};
  return places;
}

FlatMap<std::uint32_t, sl_process_verdict> ChoiceTable(const ProcessVerdictPool<PoolIndex>& process_verdicts,
                                                       const IndexedBy<PoolIndex, SlotIndex>& places,
                                                       const IndexedBy<PoolIndex, sl_peer_value>& outcomes) {
  std::vector<std::pair<std::uint32_t, sl_process_verdict>> table;
  for (std::uint32_t i = 0; i < process_verdicts.all().size(); i++) {
    const ProcessVerdict<PoolIndex>& from = process_verdicts.all()[PoolIndex{i}];
    sl_process_verdict process_verdict = {};
    process_verdict.count = static_cast<std::uint32_t>(from.conditions.size());
    process_verdict.outcomes = outcomes[from.outcomes].first;
    for (std::size_t c = 0; c < from.conditions.size(); c++) {
      const Condition& condition = from.conditions[c];
      process_verdict.conditions[c] = {condition.binaries, condition.ancestors, condition.if_unknown, 0};
    }
    table.emplace_back(Raw(places[PoolIndex{i}]), process_verdict);
  }
  return FlatMap<std::uint32_t, sl_process_verdict>(std::move(table));
}

}  // namespace sluice::policy
