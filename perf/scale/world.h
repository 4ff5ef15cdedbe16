// Policies of a size, as the parser would have made them: without text, which takes longer than all the rest. What is
// in every one: a local workload kPod behind an interface of this machine, whose ingress is isolated, and an address
// kFriend that it allows on the service ports.
#pragma once

#include "perf/program/runner.h"
#include "policy/network/snapshot.h"

namespace sluice::perf {

enum class Grows {
  kIdentities,  // as many pods, no two alike; every other one is allowed
  kRulesets,    // as many, half of them for each direction, of half as many local workloads
  kCidrs,       // as many prefixes in one policy
  kRules,       // as many, each for one of 1,000 pods, at most 1,000 for one local workload
};
const char* ToString(Grows what);

struct ScaleScenario {
  std::shared_ptr<const policy::Snapshot> snapshot;
  policy::Address pod;
  policy::Address friend_;
  AddressRotation new_flows;  // ends of packets that are allowed, over all that grows
};

// `ifindex` is that of the pod's interface.
StatusOr<ScaleScenario> MakeScaleScenario(Grows what, std::uint32_t size, std::uint32_t ifindex);

// The pods of kIdentities as files, for an agent to read. `interface` is the local workload's.
std::string IdentitiesYaml(std::uint32_t size, const std::string& interface);

}  // namespace sluice::perf
