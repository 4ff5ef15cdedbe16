// What the agent asks of the packet path. BpfDatapath is the real one; tests of other layers use a fake.
//
// Called from one thread (the agent's control loop) but for Flows, ReadCounters, Maps and PollEvents, which may be
// called from others at the same time. Errors name the kernel object; a failed call leaves enforcement as it was.
#pragma once

#include <array>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "bpf/abi/conntrack.h"
#include "bpf/abi/events.h"
#include "ctrl/base/status.h"
#include "policy/tables.h"

namespace sluice::datapath {

enum class FlowTable { kEstablished, kPending, kDenied };

struct FlowRecord {
  FlowTable table = FlowTable::kPending;
  sl_flow_key key{};
  sl_flow_entry entry{};
};

// Sums over all CPUs.
struct Counters {
  std::array<std::array<sl_counter, SL_OUTCOME_COUNT>, SL_HOOK_COUNT> packets{};
  std::array<std::uint64_t, SL_COUNTER_COUNT> events{};
  std::map<std::uint32_t, sl_endpoint_counters> endpoints;  // by endpoint number; those with traffic
};

struct MapUsage {
  std::string name;
  std::uint64_t entries = 0;
  std::uint64_t capacity = 0;
};

// The host end of a local workload's veth.
struct PodInterface {
  std::uint32_t ifindex = 0;
  std::string name;
  sl_interface facts{};  // flags are completed by the datapath
};

enum class XdpMode { kNative, kGeneric };

struct AttachedProgram {
  std::string program;
  std::string interface;
  std::uint32_t ifindex = 0;
  std::string mode;  // "tcx", "clsact", "xdp native", "xdp generic"
};

class Datapath {
 public:
  virtual ~Datapath() = default;

  // Puts `tables` in force as one generation. Returns when no packet is judged by an older one any more.
  virtual Status Commit(const policy::Tables& tables) = 0;
  virtual std::uint64_t generation() const = 0;
  virtual policy::Limits limits() const = 0;  // what one generation may need

  // Closed at once: until a generation with the workload's addresses is in force, everything there is dropped.
  // Attaching what is attached already only refreshes the facts.
  virtual Status AttachPod(const PodInterface& pod) = 0;
  virtual Status DetachPod(std::uint32_t ifindex) = 0;
  virtual StatusOr<XdpMode> AttachUplink(const std::string& interface) = 0;

  virtual Status Configure(std::uint32_t setting_flags) = 0;  // SL_SETTING_*

  virtual StatusOr<std::vector<FlowRecord>> Flows() = 0;
  virtual Status ForgetFlows(const std::vector<FlowRecord>& flows) = 0;
  // Zeroes the counters of an endpoint number that is about to be used by another workload.
  virtual Status ResetEndpoint(std::uint32_t endpoint) = 0;
  virtual StatusOr<Counters> ReadCounters() = 0;
  virtual StatusOr<std::vector<MapUsage>> Maps() = 0;
  virtual std::vector<AttachedProgram> Attached() const = 0;

  // Hands over the flow events that wait, without waiting for more. Returns how many.
  virtual StatusOr<int> PollEvents(const std::function<void(const sl_flow_event&)>& consume) = 0;
};

}  // namespace sluice::datapath
