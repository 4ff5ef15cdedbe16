// The rules that come nearest to allowing a flow that no rule allows, and what would have to differ. Uses the reference
// evaluator's checks. Pure.
#pragma once

#include <string>
#include <vector>

#include "policy/network/evaluate.h"

namespace sluice::policy {

struct NearMiss {
  Contribution rule;
  std::vector<std::string> differences;  // "port: 9000/TCP is not among 5432/TCP"
};

// The enforced Allow rules at `direction`'s end with the fewest differences: at most `limit`, ties in the policies'
// order. Empty if that end is not a pod, or if a rule allows the flow.
std::vector<NearMiss> NearMisses(const Snapshot& snapshot, const Flow& flow, Direction direction,
                                 std::size_t limit = 3);

}  // namespace sluice::policy
