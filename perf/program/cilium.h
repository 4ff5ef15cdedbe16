// Cilium's endpoint program as a peer: an object that scripts/build-cilium-objects made of its sources, loaded by us,
// with policy and addresses of our own. It stands nowhere on this machine and needs no interface.
#pragma once

#include <string>
#include <vector>

#include "perf/program/rounds.h"
#include "perf/program/runner.h"

namespace sluice::perf {

// What the suite reports when it leaves it out, and why.
inline constexpr char kCilium[] = "peer/cilium";
inline constexpr char kHowToHaveCilium[] =
    "it needs Cilium's sources: scripts/build-cilium-objects SOURCE OUT.o, then --cilium-object OUT.o";
// What Sluice's tc_to_pod does for an established flow: on a node with a route for each pod, and on one without.
inline constexpr char kCiliumEstablished[] = "peer/cilium/to-container/established/flows:1",
                      kCiliumPolicy[] = "peer/cilium/policy/established/flows:1";
inline constexpr const char* kCiliumLikeToPod[] = {kCiliumEstablished, kCiliumPolicy};

enum class CiliumProgram {
  kToContainer,    // to the pod, from the stack: the identity is looked up by the address
  kPolicy,         // to the pod, called by a program that has looked the identity up
  kFromContainer,  // from the pod, to the stack
};

struct CiliumCase {
  CiliumProgram program = CiliumProgram::kToContainer;
  int policies = 1;  // entries of the endpoint's policy, each of another identity with one address

  std::string Name() const;
};

std::vector<CiliumCase> CiliumCases(bool brief);

// Of `cases`. An error also when the object does not do what they are about.
StatusOr<std::vector<Measurement>> CiliumPeers(const std::string& object_path, const std::vector<CiliumCase>& cases,
                                               const Runner& runner);

}  // namespace sluice::perf
