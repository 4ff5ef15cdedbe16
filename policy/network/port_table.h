// Port tables: the decision for each service (protocol << 16 | port) of one kind of peer. They are made from rules
// here, shared between rulesets, and laid out in the kernel's array. Not thread-safe.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "bpf/abi/policy.h"
#include "policy/network/decision.h"
#include "policy/network/flat_map.h"
#include "policy/network/index.h"
#include "policy/network/ranges.h"

namespace sluice::policy {

inline constexpr std::uint32_t kServiceEnd = 1U << 24U;
inline constexpr std::uint32_t ServiceNumber(std::uint8_t protocol, std::uint16_t port) {
  return static_cast<std::uint32_t>(protocol) << 16U | port;
}

// The services that `rule` covers at a destination with these named ports (rules 5, 11, 12, 13).
RangeSet Services(const Rule& rule, const std::vector<NamedPort>& named);
bool UsesPortNames(const Rule& rule);

// A decision with its key and hash; immutable.
struct KeyedDecision {
  Decision decision;
  std::string key;         // DecisionKey
  std::uint64_t hash = 0;  // of the key
};
std::shared_ptr<const KeyedDecision> MakeKeyed(Decision decision);

// A set of decisions, each with an index.
template <typename Index>
class DecisionPool {
 public:
  Index Intern(Decision decision) { return Intern(MakeKeyed(std::move(decision))); }
  Index Intern(std::shared_ptr<const KeyedDecision> decision) {
    const auto [at, added] = by_key_.try_emplace(decision->key, Index{all_.size()});
    if (added) all_.push_back(std::move(decision));
    return at->second;
  }
  const IndexedBy<Index, std::shared_ptr<const KeyedDecision>>& all() const { return all_; }

 private:
  IndexedBy<Index, std::shared_ptr<const KeyedDecision>> all_;
  std::unordered_map<std::string_view, Index> by_key_;
};

using Decisions = DecisionPool<PoolIndex>;
using DecisionNumbers = IndexedBy<PoolIndex, DecisionNumber>;
// Each decision's number is a hash of its content, or the next free number, and never 0. A restart finds the same.
DecisionNumbers NumberDecisions(const Decisions& decisions);
FlatMap<std::uint32_t, std::shared_ptr<const Decision>> ByNumber(const Decisions& decisions,
                                                                 const DecisionNumbers& numbers);

// One step of a table: from `start` on, `answer` is a decision or, with `by_process`, a process-dependent verdict. A
// table's first start is 0.
template <typename Index>
struct PortStep {
  std::uint32_t start = 0;
  Index answer{};
  bool by_process = false;
  auto operator<=>(const PortStep&) const = default;
};
template <typename Index>
using PortTable = std::vector<PortStep<Index>>;
template <typename Index>
using PortTablePool = Pool<Index, PortTable<Index>>;

struct PortLayout {
  FlatMap<std::uint32_t, sl_port_entry> entries;  // by SlotIndex
  IndexedBy<PoolIndex, sl_peer_value> places;     // where each table is
};
// A table's place is the hash of its content, or the next free span, so that a change moves few tables. If they do not
// fit that way, all are packed one after the other. ResourceExhausted when there are more than `limit` entries.
// `process_verdicts`: the place of each.
StatusOr<PortLayout> LayOut(const PortTablePool<PoolIndex>& tables, const Decisions& decisions,
                            const DecisionNumbers& numbers, const IndexedBy<PoolIndex, SlotIndex>& process_verdicts,
                            std::size_t limit);

}  // namespace sluice::policy
