// Policies of a given size, as the parser would return them; parsing text would take longer than all the rest. Each has
// a local workload kPod on an interface of this machine with isolated ingress, and an address kFriend that may reach it
// on the service ports.
#pragma once

#include "perf/program/runner.h"
#include "policy/network/snapshot.h"

namespace sluice::perf {

enum class Grows {
  kIdentities,  // this many pods, all different; every other one is allowed
  kRulesets,    // this many, half for each direction, of half as many local workloads
  kCidrs,       // this many prefixes in one policy
  kRules,       // this many, each for one of 1,000 pods, at most 1,000 for one local workload
};
const char* ToString(Grows what);

struct ScaleScenario {
  std::shared_ptr<const policy::Snapshot> snapshot;
  policy::Address pod;
  policy::Address friend_;
  AddressRotation new_flows;  // allowed packets whose peers use all of the growing resource
};

// `ifindex` is that of the pod's interface.
StatusOr<ScaleScenario> MakeScaleScenario(Grows what, std::uint32_t size, std::uint32_t ifindex);

// The pods of kIdentities as files for an agent. `interface` is the local workload's.
std::string IdentitiesYaml(std::uint32_t size, const std::string& interface);

}  // namespace sluice::perf
