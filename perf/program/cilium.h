// Cilium's endpoint program as a peer. scripts/build-cilium-objects builds the object from Cilium's sources; this file
// loads it, with our policy and addresses. It is attached nowhere and needs no interface.
#pragma once

#include <string>
#include <vector>

#include "perf/program/rounds.h"
#include "perf/program/runner.h"

namespace sluice::perf {

// The name that the suite reports when it leaves the peer out.
inline constexpr char kCilium[] = "peer/cilium";
inline constexpr char kHowToHaveCilium[] =
    "it needs Cilium's sources: scripts/build-cilium-objects SOURCE OUT.o, then --cilium-object OUT.o";
// The counterparts of Sluice's tc_to_pod for an established flow: on a node with a route for each pod, and without.
inline constexpr char kCiliumEstablished[] = "peer/cilium/to-container/established/flows:1",
                      kCiliumPolicy[] = "peer/cilium/policy/established/flows:1";
inline constexpr const char* kCiliumLikeToPod[] = {kCiliumEstablished, kCiliumPolicy};

enum class CiliumProgram {
  kToContainer,    // to the pod, from the stack: looks up the identity by address
  kPolicy,         // to the pod, called by a program that has looked up the identity
  kFromContainer,  // from the pod, to the stack
};

struct CiliumCase {
  CiliumProgram program = CiliumProgram::kToContainer;
  int policies = 1;  // entries of the endpoint's policy, each for another identity with one address

  std::string Name() const;
};

std::vector<CiliumCase> CiliumCases(bool brief);

// One measurement for each of `cases`. An error also when the object does not do the work that the cases measure.
StatusOr<std::vector<Measurement>> CiliumPeers(const std::string& object_path, const std::vector<CiliumCase>& cases,
                                               const Runner& runner);

}  // namespace sluice::perf
