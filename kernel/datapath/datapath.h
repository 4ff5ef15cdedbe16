// What the agent asks of the packet path. BpfDatapath is the real one; tests of other layers use a fake.
//
// Called from one thread (the agent's control loop) but for reads (flows, counters, maps, programs, whom the generation
// knows), PollEvents, SetQuarantine and AttachPod, which may be called from others at the same time. Errors name the
// kernel object; a failed call leaves enforcement as it was.
#pragma once

#include <array>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/status.h"
#include "bpf/abi/conntrack.h"
#include "bpf/abi/events.h"
#include "kernel/datapath/integrity.h"
#include "policy/network/tables.h"

namespace sluice::datapath {

enum class FlowState { kEstablished, kPending, kClosing, kDenied };

struct FlowRecord {
  FlowState state = FlowState::kPending;
  sl_flow_key key{};
  sl_flow_entry entry{};
  std::uint32_t place = 0;  // in the flow table
};

// Sums over all CPUs.
using EventCounters = std::array<std::uint64_t, SL_COUNTER_COUNT>;

struct Counters {
  std::array<std::array<sl_counter, SL_OUTCOME_COUNT>, SL_HOOK_COUNT> packets{};
  EventCounters events{};
  std::map<std::uint32_t, sl_endpoint_counters> endpoints;  // by endpoint number; those of the generation in force
};

struct MapUsage {
  std::string name;
  std::uint64_t entries = 0;
  std::uint64_t capacity = 0;
  std::uint64_t refused = 0;  // not taken in, for want of room or because a workload had its share; 0 where not counted
};

// What the kernel counted of one program's runs, in all places where it is attached.
struct ProgramRuns {
  std::string program;
  std::uint64_t count = 0;
  std::uint64_t nanoseconds = 0;
};

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

enum class XdpMode { kNative, kGeneric };

struct AttachedProgram {
  std::string program;
  std::string interface;
  std::uint32_t ifindex = 0;
  std::string mode;  // "tcx", "clsact", "xdp native", "xdp generic"; empty: an earlier process attached it
};

class Datapath {
 public:
  virtual ~Datapath() = default;

  // Puts `tables` in force as one generation. Returns when no packet is judged by an older one any more.
  virtual Status Commit(const policy::Tables& tables) = 0;
  virtual std::uint64_t generation() const = 0;
  virtual policy::Limits limits() const = 0;  // what one generation may need
  // Numbers of the local workloads that the generation in force knows, also one of an earlier process; by ifindex.
  virtual std::map<std::uint32_t, std::uint32_t> EndpointsInForce() const = 0;

  // Closed at once: until a generation with the workload's addresses is in force, everything there is dropped.
  // Attaching what is attached already only refreshes the facts.
  virtual Status AttachPod(const PodInterface& pod) = 0;
  virtual Status DetachPod(std::uint32_t ifindex) = 0;
  // Likewise. NotFound: there is no such interface.
  virtual StatusOr<XdpMode> AttachUplink(const std::string& interface) = 0;

  virtual Status Configure(std::uint32_t setting_flags) = 0;  // SL_SETTING_*

  virtual Status ForEachFlow(const std::function<void(const FlowRecord&)>& visit) = 0;
  StatusOr<std::vector<FlowRecord>> Flows() {
    std::vector<FlowRecord> flows;
    SL_RETURN_IF_ERROR(ForEachFlow([&flows](const FlowRecord& flow) { flows.push_back(flow); }));
    return flows;
  }
  // Those that had a packet since they were read stay. Returns the others.
  virtual StatusOr<std::vector<FlowRecord>> ForgetFlows(const std::vector<FlowRecord>& flows) = 0;
  // The flow whose present record has this id; nothing: it is gone, or another record of it has begun.
  virtual StatusOr<std::optional<FlowRecord>> FindFlow(const sl_flow_key& key, std::uint64_t id) = 0;
  // Whose processes have a share of their own in the tables of programs, classes and processes: the network namespaces
  // (inode numbers) of local workloads. The node has one as well, and all others one together.
  virtual Status SetShares(const std::set<std::uint64_t>& netns) = 0;
  // Now and then, from any one thread: looks after the classes of processes, and makes room for new ones.
  virtual Status TendProcessClasses() = 0;
  // Before another workload uses an endpoint number: zeroes its counters and ends its quarantine.
  virtual Status ResetEndpoint(std::uint32_t endpoint) = 0;

  // From the next packet on the endpoint is cut off, or no more.
  virtual Status SetQuarantine(std::uint32_t endpoint, bool on) = 0;
  // Replaces the list of the peers that may still talk with endpoints in quarantine.
  virtual Status SetQuarantineAllow(const std::vector<policy::Prefix>& peers) = 0;
  virtual StatusOr<QuarantineState> ReadQuarantine() = 0;

  virtual StatusOr<Counters> ReadCounters() = 0;
  virtual StatusOr<EventCounters> ReadEventCounters() = 0;  // `ReadCounters().events`, for much less
  // Flow events that the workloads' shares refused (bpf/abi/events.h), by endpoint number, 0: a sender that is not
  // known; those of the generation in force.
  virtual StatusOr<std::map<std::uint32_t, std::uint64_t>> ReadLostEvents() = 0;
  // Cheap: of the flow table, `entries` are those of the last ForEachFlow.
  virtual StatusOr<std::vector<MapUsage>> Maps() = 0;
  // Empty while the kernel does not count (sysctl kernel.bpf_stats_enabled).
  virtual StatusOr<std::vector<ProgramRuns>> ReadProgramRuns() = 0;
  virtual std::vector<AttachedProgram> Attached() const = 0;

  virtual Integrity integrity() const { return {}; }  // from any thread

  // Hands over the flow events that wait, without waiting for more. Returns how many.
  virtual StatusOr<int> PollEvents(const std::function<void(const sl_flow_event&)>& consume) = 0;
};

}  // namespace sluice::datapath
