// The packet path's interface for telemetry and status: flows, counters, maps, programs and events. BpfDatapath
// implements it; tests use a fake. The reconciler uses enforcer.h.
//
// May be called from several threads at the same time. Errors name the kernel object; no call changes what is enforced.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/status.h"
#include "bpf/abi/events.h"
#include "kernel/datapath/attached_program.h"
#include "kernel/datapath/flow_record.h"
#include "kernel/datapath/integrity.h"

namespace sluice::datapath {

// Sums over all CPUs.
using EventCounters = std::array<std::uint64_t, SL_COUNTER_COUNT>;

struct Counters {
  std::array<std::array<sl_counter, SL_OUTCOME_COUNT>, SL_HOOK_COUNT> packets{};
  EventCounters events{};
  std::map<std::uint32_t, sl_endpoint_counters>
      endpoints;  // by endpoint number; only endpoints of the generation in force
};

struct MapUsage {
  std::string name;
  std::uint64_t entries = 0;
  std::uint64_t capacity = 0;
  std::uint64_t refused = 0;  // refused, as there was no room or a workload's share was used up; 0 if not counted
};

// The kernel's count of one program's runs, at all its attachments.
struct ProgramRuns {
  std::string program;
  std::uint64_t count = 0;
  std::uint64_t nanoseconds = 0;
};

class PathReader {
 public:
  virtual ~PathReader() = default;

  virtual std::uint64_t generation() const = 0;
  virtual std::vector<AttachedProgram> Attached() const = 0;

  virtual Status ForEachFlow(const std::function<void(const FlowRecord&)>& visit) = 0;
  StatusOr<std::vector<FlowRecord>> Flows() {
    std::vector<FlowRecord> flows;
    SL_RETURN_IF_ERROR(ForEachFlow([&flows](const FlowRecord& flow) { flows.push_back(flow); }));
    return flows;
  }
  // Removes flows that had no packet since they were read. Returns the removed ones.
  virtual StatusOr<std::vector<FlowRecord>> ForgetFlows(const std::vector<FlowRecord>& flows) = 0;
  // The flow whose current record has this id; nothing: it is gone, or has a new record.
  virtual StatusOr<std::optional<FlowRecord>> FindFlow(const sl_flow_key& key, std::uint64_t id) = 0;

  virtual StatusOr<Counters> ReadCounters() = 0;
  virtual StatusOr<EventCounters> ReadEventCounters() = 0;  // `ReadCounters().events`, much cheaper
  // Flow events that the workloads' shares refused (bpf/abi/events.h), by endpoint number (0: unknown senders); only
  // endpoints of the generation in force.
  virtual StatusOr<std::map<std::uint32_t, std::uint64_t>> ReadLostEvents() = 0;
  // Cheap: for the flow table, `entries` is from the last ForEachFlow.
  virtual StatusOr<std::vector<MapUsage>> Maps() = 0;
  // Empty while the kernel does not count runs (sysctl kernel.bpf_stats_enabled).
  virtual StatusOr<std::vector<ProgramRuns>> ReadProgramRuns() = 0;
  virtual Integrity integrity() const { return {}; }

  // Passes on all pending flow events, without waiting for more. Returns how many. One thread at a time.
  virtual StatusOr<int> PollEvents(const std::function<void(const sl_flow_event&)>& consume) = 0;
};

}  // namespace sluice::datapath
