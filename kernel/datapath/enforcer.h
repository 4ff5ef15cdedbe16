// The packet path's interface for the reconciler: policy tables, interfaces of pods, quarantine. BpfDatapath implements
// it; tests of the reconciler use a fake. Telemetry uses path_reader.h.
//
// Called from one thread (the agent's control loop). Only `generation`, `limits`, `EndpointsInForce`, `Attached`,
// SetQuarantine, ReadQuarantine, AttachPod and AttachPodAtOnce are thread-safe. Errors name the kernel object; a failed
// call does not change enforcement.
#pragma once

#include <compare>
#include <cstdint>
#include <cstring>
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
  bool takes_frames = false;  // the pod's end has GRO or XDP, so that XDP may redirect to this interface
  bool operator==(const PodInterface& other) const {
    return ifindex == other.ifindex && name == other.name && takes_frames == other.takes_frames &&
           std::memcmp(&facts, &other.facts, sizeof(facts)) == 0;
  }
};

// A workload's own network namespace.
struct PodNamespace {
  std::uint64_t inode = 0;   // 0: not known
  std::uint64_t cookie = 0;  // the kernel's number of it for programs; 0: not known
  std::string path;          // of a file of it
  auto operator<=>(const PodNamespace&) const = default;
};

// Quarantine as in the kernel, set by anyone.
struct QuarantineState {
  std::set<std::uint32_t> endpoints;  // endpoint numbers, also unused ones
  std::vector<policy::Prefix> allow;  // peers that may still talk to them
};

class Enforcer {
 public:
  virtual ~Enforcer() = default;

  // Puts `tables` in force as one generation. Returns once no packet is evaluated by an older one.
  virtual Status Commit(const policy::Tables& tables) = 0;
  virtual std::uint64_t generation() const = 0;
  virtual policy::Limits limits() const = 0;  // the most that one generation may need
  // Endpoint numbers of the local workloads in the generation in force, also if an earlier process committed it; by
  // ifindex.
  virtual std::map<std::uint32_t, std::uint32_t> EndpointsInForce() const = 0;

  // The interface is closed at once: all its packets drop until a generation with the workload's addresses is in force.
  // If it is attached already, this only updates the facts.
  virtual Status AttachPod(const PodInterface& pod) = 0;
  // The same for an interface that somebody waits for: takes less than a millisecond, where AttachPod waits for the
  // kernel. What it attaches is exchanged for what AttachPod would have attached, later.
  virtual Status AttachPodAtOnce(const PodInterface& pod) = 0;
  virtual Status DetachPod(std::uint32_t ifindex) = 0;
  virtual std::vector<AttachedProgram> Attached() const = 0;

  // The network namespaces of local workloads. Each gets its own share in the tables of programs, classes and
  // processes; the node has a share too, and all other namespaces have one together. Services are translated at the
  // sockets in them.
  virtual Status SetNamespaces(const std::set<PodNamespace>& namespaces) = 0;
  // Before another workload uses an endpoint number: zeroes its counters and ends its quarantine.
  virtual Status ResetEndpoint(std::uint32_t endpoint) = 0;

  // Takes effect from the next packet on.
  virtual Status SetQuarantine(std::uint32_t endpoint, bool on) = 0;
  virtual StatusOr<QuarantineState> ReadQuarantine() = 0;
};

}  // namespace sluice::datapath
