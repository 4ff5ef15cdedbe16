// network.matchPeers for the packet path: its rules as rules for processes (policy/network). Pure.
#pragma once

#include <memory>

#include "base/status.h"
#include "policy/lsm/model.h"

namespace sluice::policy::lsm {

// Null: the policy has no such rules. Error: FailedPrecondition, what the packet path cannot enforce: a policy for
// nodes or for containers, `pts`, a program's path that is too long; or a selector that stands for too many others.
StatusOr<std::shared_ptr<const PeerPolicies>> PeerPoliciesOf(const Policy& policy);

}  // namespace sluice::policy::lsm
