// Port tables: for one kind of peer, what is decided for each service (protocol << 16 | port). Here they are made from
// rules, kept once however many rulesets use them, and laid out in the kernel's array. Not thread-safe.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "bpf/abi/policy.h"
#include "policy/network/decision.h"
#include "policy/network/flat_map.h"
#include "policy/network/ranges.h"

namespace sluice::policy {

inline constexpr std::uint32_t kServiceEnd = 1U << 24U;
inline constexpr std::uint32_t ServiceNumber(std::uint8_t protocol, std::uint16_t port) {
  return static_cast<std::uint32_t>(protocol) << 16U | port;
}

// The services that `rule` covers at a destination with these named ports (rules 5, 11, 12, 13).
RangeSet Services(const Rule& rule, const std::vector<NamedPort>& named);
bool UsesPortNames(const Rule& rule);

// A decision with what it is known by; immutable.
struct KeyedDecision {
  Decision decision;
  std::string key;         // DecisionKey
  std::uint64_t hash = 0;  // of the key
};

// Every decision that occurs, once.
class DecisionPool {
 public:
  std::uint32_t Intern(Decision decision);  // its index
  std::uint32_t Intern(std::shared_ptr<const KeyedDecision> decision);
  const std::vector<std::shared_ptr<const KeyedDecision>>& all() const { return decisions_; }
  std::vector<std::uint32_t> Numbers() const;  // by index: DecisionHash, or the next free number
  FlatMap<std::uint32_t, std::shared_ptr<const Decision>> ByNumber(const std::vector<std::uint32_t>& numbers) const;

 private:
  std::vector<std::shared_ptr<const KeyedDecision>> decisions_;
  std::unordered_map<std::string_view, std::uint32_t> by_key_;
};

// One table: from `start` on, `decision` (an index of the DecisionPool) or, where the answer is by process, the choice
// with that index of the ChoicePool. The first start is 0.
struct PortStep {
  std::uint32_t start = 0;
  std::uint32_t decision = 0;
  bool by_process = false;
  auto operator<=>(const PortStep&) const = default;
};
using PortTable = std::vector<PortStep>;

class PortTablePool {
 public:
  std::uint32_t Intern(PortTable table);  // its index
  const std::vector<PortTable>& all() const { return tables_; }

  struct Layout {
    FlatMap<std::uint32_t, sl_port_entry> entries;
    std::vector<sl_peer_value> places;  // by table index
  };
  // Each table stands where its content's hash says, or in the next free span, so that a change moves little; where
  // that no longer fits, all of them one after the other. ResourceExhausted when there are more than `limit` entries.
  // `numbers` of the decisions and places of the `choices`, by index.
  StatusOr<Layout> LayOut(const DecisionPool& decisions, const std::vector<std::uint32_t>& numbers,
                          const std::vector<std::uint32_t>& choices, std::size_t limit) const;

 private:
  std::vector<PortTable> tables_;
  std::map<PortTable, std::uint32_t> by_content_;
};

}  // namespace sluice::policy
