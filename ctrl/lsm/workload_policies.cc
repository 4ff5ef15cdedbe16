#include "ctrl/lsm/workload_policies.h"

#include "policy/lsm/select.h"

namespace sluice::lsm {
namespace {

// The parser has checked the values.
policy::lsm::Postures PosturesIn(const policy::ResourceMap& resources, const std::string& ns) {
  const policy::ResourceId id{policy::Kind::kNamespace, {"", ns}};
  if (!resources.contains(id)) return {};
  const auto postures = policy::lsm::PosturesOf(resources.at(id).ns->postures);
  return postures.ok() ? *postures : policy::lsm::Postures();
}

}  // namespace

bool NeedsKernel(const policy::lsm::Policy& policy) {
  return !policy.process.empty() || !policy.file.empty() || !policy.protocols.empty() || !policy.capabilities.empty() ||
         !policy.syscalls.empty() || !policy.presets.empty();
}

bool SelectsContainers(const policy::lsm::Policy& policy) { return !policy.selection.containers.empty(); }

Status CheckSelection(const policy::lsm::Policy& policy, const NodeInfo& node) {
  if (!node.containers && SelectsContainers(policy)) {
    return MakeError(absl::StatusCode::kFailedPrecondition,
                     "kubearmor.io/container.name: no container runtime has told this agent of its containers: it asks "
                     "one with --kube and --cri; leave it out to select the whole pod");
  }
  if (!node.labels && policy.kind == policy::lsm::Policy::Kind::kHost && !policy.selection.labels.empty()) {
    return MakeError(absl::StatusCode::kFailedPrecondition,
                     "nodeSelector: {}: the labels of this node are not known: no API server has told them (--kube); "
                     "without one, give them by --node-label, or select by kubernetes.io/hostname",
                     policy.selection.labels.begin()->first);
  }
  return OkStatus();
}

std::vector<policy::lsm::WorkloadPolicies> PoliciesOfWorkloads(const policy::ResourceMap& resources,
                                                               const std::vector<hooks::Subject>& subjects,
                                                               const Policies& policies, const NodeInfo& node) {
  std::vector<policy::lsm::WorkloadPolicies> all;
  const auto add = [&](policy::lsm::WorkloadPolicies one, const auto& facts) {
    for (const auto& [id, policy] : policies) {
      if (NeedsKernel(*policy) && policy::lsm::Selects(*policy, facts)) one.policies.push_back(policy);
    }
    if (!one.policies.empty()) all.push_back(std::move(one));
  };
  add({}, policy::lsm::NodeFacts{.hostname = node.name, .labels = node.labels.value_or(policy::Labels())});
  for (const auto& [id, resource] : resources.of(policy::Kind::kWorkload)) {
    const policy::Workload& workload = *resource.workload;
    add({.key = workload.name.ToString(), .policies = {}, .postures = PosturesIn(resources, workload.name.ns)},
        policy::lsm::ContainerFacts{.ns = workload.name.ns, .labels = workload.labels, .container = ""});
  }
  for (const hooks::Subject& subject : subjects) {
    if (!hooks::IsContainerKey(subject.key)) continue;
    const auto& facts = subject.facts;
    add({.key = subject.key, .policies = {}, .postures = PosturesIn(resources, facts.ns)},
        policy::lsm::ContainerFacts{.ns = facts.ns, .labels = facts.labels, .container = facts.container});
  }
  return all;
}

bool IsSame(const policy::lsm::WorkloadPolicies& one, const policy::lsm::WorkloadPolicies& other) {
  return one.key == other.key && one.policies == other.policies && one.postures == other.postures;
}

}  // namespace sluice::lsm
