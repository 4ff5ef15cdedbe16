// What the reconciler asks of the packet path: policy tables, interfaces of pods, quarantine. BpfDatapath is the real
// one; tests of the reconciler use a fake. What telemetry reads is path_reader.h.
//
// Called from one thread (the agent's control loop) but for `generation`, `limits`, `EndpointsInForce`, `Attached`,
// SetQuarantine, ReadQuarantine and AttachPod, which may be called from others at the same time. Errors name the kernel
// object; a failed call leaves enforcement as it was.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "base/status.h"
#include "bpf/abi/events.h"
#include "kernel/datapath/attached_program.h"
#include "policy/network/tables.h"

namespace sluice::datapath {

// The host end of a local workload's veth.
struct PodInterface {
  std::uint32_t ifindex = 0;
  std::string name;
  sl_interface facts{};
  bool takes_frames = false;  // the pod's end has GRO or XDP, so that XDP may redirect to this one
};

// What the kernel holds, whoever put it there.
struct QuarantineState {
  std::set<std::uint32_t> endpoints;  // numbers, also such that nobody has now
  std::vector<policy::Prefix> allow;  // peers that may still talk with them
};

class Enforcer {
 public:
  virtual ~Enforcer() = default;

  // Puts `tables` in force as one generation. Returns when no packet is evaluated by an older one any more.
  virtual Status Commit(const policy::Tables& tables) = 0;
  virtual std::uint64_t generation() const = 0;
  virtual policy::Limits limits() const = 0;  // what one generation may need
  // Numbers of the local workloads that the generation in force knows, also one of an earlier process; by ifindex.
  virtual std::map<std::uint32_t, std::uint32_t> EndpointsInForce() const = 0;

  // Closed at once: until a generation with the workload's addresses is in force, everything there is dropped.
  // Attaching what is attached already only refreshes the facts.
  virtual Status AttachPod(const PodInterface& pod) = 0;
  virtual Status DetachPod(std::uint32_t ifindex) = 0;
  virtual std::vector<AttachedProgram> Attached() const = 0;

  // Whose processes have a share of their own in the tables of programs, classes and processes: the network namespaces
  // (inode numbers) of local workloads. The node has one as well, and all others one together.
  virtual Status SetShares(const std::set<std::uint64_t>& netns) = 0;
  // Before another workload uses an endpoint number: zeroes its counters and ends its quarantine.
  virtual Status ResetEndpoint(std::uint32_t endpoint) = 0;

  // From the next packet on the endpoint is cut off, or no more.
  virtual Status SetQuarantine(std::uint32_t endpoint, bool on) = 0;
  virtual StatusOr<QuarantineState> ReadQuarantine() = 0;
};

}  // namespace sluice::datapath
