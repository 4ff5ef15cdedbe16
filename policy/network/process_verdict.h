// Process-dependent verdicts: if rules that name processes match a peer and port, the kernel gets one outcome for each
// set of conditions that a process may meet. This file numbers the patterns and keeps each verdict once. Not
// thread-safe.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "policy/network/port_table.h"
#include "policy/network/ruleset.h"

namespace sluice::policy {

// As sl_process_condition: sets of patterns as bits; 0: any.
struct Condition {
  std::uint64_t binaries = 0;
  std::uint64_t ancestors = 0;
  bool if_unknown = false;
  auto operator<=>(const Condition&) const = default;
};

// The patterns of all compiled rules, sorted; a pattern's position is its bit.
class PatternTable {
 public:
  explicit PatternTable(const std::vector<Ruleset>& rulesets);

  std::size_t size() const { return patterns_.size(); }
  bool operator==(const PatternTable&) const = default;
  // These two: call only when size() <= SL_MAX_PROGRAM_PATTERNS; `rule` must name processes.
  Condition ConditionOf(const NetworkPolicy& policy, const Rule& rule) const;
  std::vector<std::string> PatternsOf(std::uint64_t bits) const;
  FlatMap<std::uint32_t, sl_program_pattern> Table() const;

 private:
  std::uint64_t BitsOf(const std::vector<std::string>& patterns) const;

  std::vector<std::string> patterns_;
};

template <typename Index>
struct ProcessVerdict {
  std::vector<Condition> conditions;  // distinct and in order, at most SL_MAX_PROCESS_CONDITIONS
  Index outcomes{};                   // a port table whose starts are all 0
  auto operator<=>(const ProcessVerdict&) const = default;
};
template <typename Index>
using ProcessVerdictPool = Pool<Index, ProcessVerdict<Index>>;

// The place of each verdict in an array of `limit` slots, which must be enough: the hash of its patterns and decisions,
// or the next free slot, so that a change moves few verdicts.
IndexedBy<PoolIndex, SlotIndex> PlaceChoices(const ProcessVerdictPool<PoolIndex>& process_verdicts,
                                             const PatternTable& patterns, const PortTablePool<PoolIndex>& tables,
                                             const DecisionNumbers& numbers, std::size_t limit);
// `outcomes`: PortLayout::places.
FlatMap<std::uint32_t, sl_process_verdict> ChoiceTable(const ProcessVerdictPool<PoolIndex>& process_verdicts,
                                                       const IndexedBy<PoolIndex, SlotIndex>& places,
                                                       const IndexedBy<PoolIndex, sl_peer_value>& outcomes);

}  // namespace sluice::policy
