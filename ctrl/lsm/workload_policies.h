// Which KubeArmor policies the workloads of a node, and the node itself, have. Pure.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "policy/lsm/compile.h"
#include "policy/resource/resource_map.h"

namespace sluice::lsm {

using Policies = std::map<policy::ResourceId, std::shared_ptr<const policy::lsm::Policy>>;

// Whether it has rules for the kernel's LSM hooks: others than network.matchPeers.
bool NeedsKernel(const policy::lsm::Policy& policy);

// Why this agent cannot know whom the policy is for; OK: it can.
Status CheckSelection(const policy::lsm::Policy& policy);

// An entry for each Workload of `resources` that a policy selects, by its name, and for the node, whose key is empty;
// without policies that have nothing for the kernel. Postures are those of the workload's namespace.
std::vector<policy::lsm::WorkloadPolicies> PoliciesOfWorkloads(const policy::ResourceMap& resources,
                                                               const Policies& policies, const std::string& node);

bool IsSame(const policy::lsm::WorkloadPolicies& one, const policy::lsm::WorkloadPolicies& other);

}  // namespace sluice::lsm
