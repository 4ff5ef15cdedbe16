// The thread that reads the packet path for telemetry. It passes events to the followers, and END events also to the
// history. It sweeps ended flows every few seconds, less often when tables are so full that a pass is expensive. Start
// once; Stop (or the destructor) joins.
#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <thread>

#include "telemetry/event/held_events.h"
#include "telemetry/flow/flow_sweeper.h"

namespace sluice::telemetry {

class Collector {
 public:
  struct Options {
    std::chrono::milliseconds poll_interval{50};   // of events and losses, with followers
    std::chrono::milliseconds idle_interval{250};  // the same without followers: END events come even then
    std::chrono::milliseconds sweep_interval{2000};
    std::chrono::milliseconds max_sweep_interval{30000};
    std::chrono::milliseconds hold{200};  // the longest wait of a flow's first event for its processes
  };
  // Returns when everything that the sensors sent before the call is processed; may be empty.
  using CatchUp = std::function<void()>;

  // The pause before the next sweep when the last one took `took`: within the two intervals, and long enough that
  // sweeps use less than half a percent of one CPU. The packet path checks time-outs itself, so a late sweep lets
  // nothing pass.
  static std::chrono::milliseconds SweepPause(const Options& options, std::chrono::nanoseconds took);

  // All must outlive the collector.
  Collector(Options options, datapath::PathReader* datapath, FlowAssembler* assembler, History* history, EventHub* hub,
            FlowSweeper* sweeper);
  ~Collector() { Stop(); }

  // Call before Start.
  void NameProcesses(CatchUp catch_up) { catch_up_ = std::move(catch_up); }

  void Start();
  void Stop();
  void Wake();  // call when a follower has come

 private:
  void Run();
  void Poll();
  void ReadEvents();
  void Tell(const sl_flow_event& event, const FlowContext& context);
  std::chrono::milliseconds Sweep();
  void LookForLosses();
  Status TellShares();

  const Options options_;
  datapath::PathReader* const datapath_;
  FlowAssembler* const assembler_;
  History* const history_;
  EventHub* const hub_;
  FlowSweeper* const sweeper_;
  CatchUp catch_up_;
  HeldEvents held_;
  std::optional<std::uint64_t> known_lost_;     // absent: not read yet, and the count is from before this process
  std::optional<std::uint64_t> known_refused_;  // absent: as known_lost_
  std::map<std::uint32_t, std::uint64_t> known_refused_of_;  // by endpoint number
  std::mutex mutex_;
  std::condition_variable wake_;
  bool woken_ = false;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace sluice::telemetry
