// The resources under which the programs are measured, as a user would write them: one local workload, peers known by
// address, and one policy for each direction that isolates the workload.
#pragma once

#include "perf/program/case.h"
#include "policy/network/snapshot.h"

namespace sluice::perf {

struct World {
  std::shared_ptr<const policy::Snapshot> snapshot;
  policy::Address pod[2];       // the local workload; IPv4, IPv6
  policy::Address friend_[2];   // may talk to the pod in both directions
  policy::Address stranger[2];  // may not
};

// Their IPv4 addresses.
inline constexpr char kWorldPod[] = "10.0.0.2", kWorldStranger[] = "10.255.0.1";
// The address of rule `number`'s peer; the middle one is the friend.
std::string PeerAddress(int number, bool v6);
// The prefix of rule `number`, and an address in it; in the middle rule this is the friend's.
std::string PeerBlock(int number, bool v6);
std::string AddressInBlock(int number, bool v6);

// `ifindex` is the host end of the workload's veth.
StatusOr<World> MakeScenario(const ScenarioSize& size, std::uint32_t ifindex);

}  // namespace sluice::perf
