// Removes flows that were idle too long from the kernel's tables and makes END events of them. The same pass counts
// traffic by program. Call Sweep from one thread; the numbers may be read from any.
#pragma once

#include <array>
#include <atomic>
#include <optional>

#include "telemetry/event/event_hub.h"
#include "telemetry/flow/flow_assembler.h"
#include "telemetry/flow/policy_verdicts.h"
#include "telemetry/flow/process_traffic.h"
#include "telemetry/flow/top_traffic.h"

namespace sluice::telemetry {

inline constexpr std::size_t kFlowStates = 4;

bool IsOver(const datapath::FlowRecord& record, std::uint64_t monotonic_now_ns);

class FlowSweeper {
 public:
  // All must outlive the sweeper.
  FlowSweeper(datapath::PathReader* datapath, FlowAssembler* assembler, History* history, EventHub* hub)
      : datapath_(datapath), assembler_(assembler), history_(history), hub_(hub) {}

  // Call these three before the first Sweep. The arguments must outlive the sweeper.
  void CountPrograms(ProcessTraffic* traffic) { traffic_ = traffic; }
  void CountVerdicts(PolicyVerdicts* verdicts) { verdicts_ = verdicts; }
  void TellTop(TopTraffic* top) { top_ = top; }

  // Counts a record that the packet path ended. Call from Sweep's thread.
  void Note(const FlowReport& ended);

  // One pass over all flows.
  Status Sweep();

  // Live flows at the last pass.
  std::uint64_t active(datapath::FlowState state) const { return active_[static_cast<std::size_t>(state)]; }
  std::uint64_t expired() const { return expired_; }  // since the start

 private:
  const FlowContext& Recent();

  datapath::PathReader* const datapath_;
  FlowAssembler* const assembler_;
  History* const history_;
  EventHub* const hub_;
  ProcessTraffic* traffic_ = nullptr;  // null: programs are not known
  PolicyVerdicts* verdicts_ = nullptr;
  TopTraffic* top_ = nullptr;
  std::optional<FlowContext> recent_;  // for Note: at most a second old
  std::array<std::atomic<std::uint64_t>, kFlowStates> active_{};
  std::atomic<std::uint64_t> expired_ = 0;
};

}  // namespace sluice::telemetry
