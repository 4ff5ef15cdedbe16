// Rulesets: the policies that apply to local workloads in a direction. Workloads with the same policies share one.
// Immutable once built; points into the snapshot and must not outlive it.
#pragma once

#include <map>
#include <string>
#include <unordered_map>
#include <vector>

#include "policy/network/snapshot.h"

namespace sluice::policy {

struct Ruleset {
  std::uint32_t id = 0;
  Direction direction = Direction::kIngress;
  std::vector<const NetworkPolicy*> policies;  // enforced and in audit, in the snapshot's order
  std::vector<NamedPort> ports;                // ingress: the workloads' named ports that the rules use
  std::size_t workloads = 0;                   // number of workloads that use it
};

// The local workloads that a policy's selector selects, as indices into the snapshot's endpoints, by policy.
using Selections = std::unordered_map<const NetworkPolicy*, std::vector<std::uint32_t>>;
// `known`: selections in the same population, which are reused.
Selections Select(const Snapshot& snapshot, const Selections& known);

class RulesetTable {
 public:
  RulesetTable(const Snapshot& snapshot, const Selections& selections);

  const std::vector<Ruleset>& all() const { return rulesets_; }  // the order depends only on their content
  // The ruleset of a local workload; SL_RULESET_NONE when none applies in that direction.
  std::uint32_t Of(const Endpoint& endpoint, Direction direction) const;

 private:
  std::vector<Ruleset> rulesets_;
  std::map<std::pair<const Endpoint*, Direction>, std::uint32_t> by_end_;
};

}  // namespace sluice::policy
