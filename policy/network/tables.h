// The compiled policy: the exact content of one epoch of the BPF maps, and the meaning of its numbers.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "bpf/abi/policy.h"
#include "policy/network/decision.h"
#include "policy/network/flat_map.h"
#include "policy/network/snapshot.h"

namespace sluice::policy {

// Map contents; keys are without the epoch.
struct Tables {
  struct PeerKey {
    std::uint32_t ruleset;
    std::uint32_t identity;
    auto operator<=>(const PeerKey&) const = default;
  };
  FlatMap<Address, sl_address_value> addresses;
  FlatMap<Prefix, sl_prefix_value> prefixes;
  FlatMap<PeerKey, sl_peer_value> peers;
  FlatMap<std::uint32_t, sl_port_entry> ports;                  // by index within the epoch
  FlatMap<std::uint32_t, sl_program_pattern> patterns;          // by the pattern's bit in the masks
  FlatMap<std::uint32_t, sl_process_verdict> process_verdicts;  // by index within the epoch
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
  std::size_t workloads = 0;  // number of local workloads that use it
};

struct CompiledPolicy {
  Tables tables;
  FlatMap<std::uint32_t, IdentityInfo> identities;
  FlatMap<std::uint32_t, RulesetInfo> rulesets;
  FlatMap<std::uint32_t, std::shared_ptr<const Decision>>
      decisions;  // by the number in sl_port_entry.decision, unless that is a process-dependent verdict
  std::shared_ptr<const Snapshot> snapshot;
};

// Upper bounds of one epoch; a compilation that exceeds one is an error that names it.
struct Limits {
  std::size_t addresses = 131072;
  std::size_t prefixes = 131072;
  std::size_t peers = 1048576;
  std::size_t ports = 262144;
  std::size_t patterns = SL_MAX_PROGRAM_PATTERNS;
  std::size_t process_verdicts = SL_MAX_PROCESS_VERDICTS;
};

}  // namespace sluice::policy
