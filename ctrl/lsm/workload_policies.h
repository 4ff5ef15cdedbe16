// Which KubeArmor policies the workloads of a node, their containers and the node itself have. Pure.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "ctrl/hooks/local_subjects.h"
#include "policy/lsm/compile.h"
#include "policy/resource/resource_map.h"

namespace sluice::lsm {

using Policies = std::map<policy::ResourceId, std::shared_ptr<const policy::lsm::Policy>>;

// This node, as far as it is known.
struct NodeInfo {
  std::string name;
  std::optional<policy::Labels> labels;  // nothing: not known yet, as below
  std::optional<std::vector<hooks::LocalContainer>> containers;
};

// Whether it has rules for the kernel's LSM hooks: others than network.matchPeers.
bool NeedsKernel(const policy::lsm::Policy& policy);

bool SelectsContainers(const policy::lsm::Policy& policy);

// FailedPrecondition: why it is not known whom the policy is for; OK: it is.
Status CheckSelection(const policy::lsm::Policy& policy, const NodeInfo& node);

// An entry for each Workload of `resources` that a policy selects, by its name, for each such container of `subjects`,
// and for the node, whose key is empty; without policies that have nothing for the kernel. Postures are those of the
// namespace. A container has its pod's policies, too.
std::vector<policy::lsm::WorkloadPolicies> PoliciesOfWorkloads(const policy::ResourceMap& resources,
                                                               const std::vector<hooks::Subject>& subjects,
                                                               const Policies& policies, const NodeInfo& node);

bool IsSame(const policy::lsm::WorkloadPolicies& one, const policy::lsm::WorkloadPolicies& other);

}  // namespace sluice::lsm
