// Which rules come nearest to allowing a flow that no rule allows, and what would have to differ. The questions are the
// reference evaluator's own. Pure.
#pragma once

#include <string>
#include <vector>

#include "policy/network/evaluate.h"

namespace sluice::policy {

struct NearMiss {
  Contribution rule;
  std::vector<std::string> differences;  // "port: 9000/TCP is not among 5432/TCP"
};

// Of the enforced Allow rules that count at `direction`'s end: those with the fewest differences, at most `limit`, then
// in the policies' order. Empty where that end is no pod, or a rule allows the flow.
std::vector<NearMiss> NearMisses(const Snapshot& snapshot, const Flow& flow, Direction direction,
                                 std::size_t limit = 3);

}  // namespace sluice::policy
