// The compiled policy: exactly what stands in one slot of the BPF maps, and what its numbers mean.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <unordered_map>
#include <vector>

#include "bpf/abi/policy.h"
#include "policy/decision.h"
#include "policy/snapshot.h"

namespace sluice::policy {

// Map contents without the slot, in key order.
struct Tables {
  struct PeerKey {
    std::uint32_t ruleset;
    std::uint32_t identity;
    auto operator<=>(const PeerKey&) const = default;
  };
  std::map<Address, sl_address_value> addresses;
  std::map<Prefix, sl_prefix_value> prefixes;
  std::map<PeerKey, sl_peer_value> peers;
  std::map<std::uint32_t, sl_port_entry> ports;          // by index within the slot
  std::map<std::uint32_t, sl_program_pattern> patterns;  // likewise: the bit in the masks
  std::map<std::uint32_t, sl_process_choice> choices;    // likewise
};

struct IdentityInfo {
  std::uint32_t id = 0;
  std::string ns;      // workloads only
  Labels labels;       // workloads only
  std::string prefix;  // longest policy prefix around its addresses; empty: none
  std::string ToString() const;
};

struct RulesetInfo {
  std::uint32_t id = 0;
  Direction direction = Direction::kIngress;
  std::vector<ObjectName> policies;
  std::size_t workloads = 0;  // local ones that use it
};

struct CompiledPolicy {
  Tables tables;
  std::map<std::uint32_t, IdentityInfo> identities;
  std::map<std::uint32_t, RulesetInfo> rulesets;
  std::map<std::uint32_t, Decision> decisions;  // by the number in sl_port_entry.decision, where that is no choice
  std::shared_ptr<const Snapshot> snapshot;
};

// Upper bounds of one slot; a compilation that exceeds one is an error that names it.
struct Limits {
  std::size_t addresses = 131072;
  std::size_t prefixes = 131072;
  std::size_t peers = 1048576;
  std::size_t ports = 262144;
  std::size_t patterns = SL_MAX_PROGRAM_PATTERNS;
  std::size_t choices = SL_MAX_PROCESS_CHOICES;
};

}  // namespace sluice::policy
