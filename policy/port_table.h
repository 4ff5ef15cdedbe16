// Port tables: for one kind of peer, what is decided for each service (protocol << 16 | port). Here they are made from
// rules, kept once however many rulesets use them, and laid out in the kernel's array. Not thread-safe.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <unordered_map>
#include <vector>

#include "bpf/abi/policy.h"
#include "policy/decision.h"
#include "policy/ranges.h"

namespace sluice::policy {

inline constexpr std::uint32_t kServiceEnd = 1U << 24U;
inline constexpr std::uint32_t ServiceNumber(std::uint8_t protocol, std::uint16_t port) {
  return static_cast<std::uint32_t>(protocol) << 16U | port;
}

// The services that `rule` covers at a destination with these named ports (rules 5, 11, 12, 13).
RangeSet Services(const Rule& rule, const std::vector<NamedPort>& named);
bool UsesPortNames(const Rule& rule);

// Every decision that occurs, once.
class DecisionPool {
 public:
  std::uint32_t Intern(Decision decision);  // its index
  const Decision& at(std::uint32_t index) const { return decisions_[index]; }
  std::vector<std::uint32_t> Numbers() const;  // by index: DecisionHash, or the next free number
  std::map<std::uint32_t, Decision> ByNumber() const;

 private:
  std::vector<Decision> decisions_;
  std::map<std::string, std::uint32_t> by_key_;
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
  const PortTable& at(std::uint32_t index) const { return tables_[index]; }

  struct Layout {
    std::map<std::uint32_t, sl_port_entry> entries;
    std::vector<sl_peer_value> places;  // by table index
  };
  // Each table stands where its content's hash says, or in the next free span, so that a change moves little; where
  // that no longer fits, all of them one after the other. ResourceExhausted when there are more than `limit` entries.
  // `choices`: the places of the ChoicePool's, by index.
  StatusOr<Layout> LayOut(const DecisionPool& decisions, const std::vector<std::uint32_t>& choices,
                          std::size_t limit) const;

 private:
  std::vector<PortTable> tables_;
  std::map<PortTable, std::uint32_t> by_content_;
};

}  // namespace sluice::policy
