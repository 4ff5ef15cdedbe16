// The thread that reads the packet path for telemetry: hands its events to the followers while there are any, and the
// ends among them to the history; sweeps ended flows every few seconds, and more seldom when the tables are so full
// that a pass is expensive. Start once; Stop (or the destructor) joins.
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
    std::chrono::milliseconds poll_interval{50};   // while somebody follows: events and losses
    std::chrono::milliseconds idle_interval{250};  // likewise, while nobody does: ends come all the time
    std::chrono::milliseconds sweep_interval{2000};
    std::chrono::milliseconds max_sweep_interval{30000};
    std::chrono::milliseconds hold{
        200};  // of a flow's first event, at most, until it is known whose processes it is of
  };
  // Returns when what the sensors told before the call is known; may be empty.
  using CatchUp = std::function<void()>;

  // Until the next sweep, when the last one took `took`: long enough that sweeps stay below half a percent of one
  // CPU, within the two bounds. The packet path itself heeds time-outs, so a late sweep lets nothing pass.
  static std::chrono::milliseconds SweepPause(const Options& options, std::chrono::nanoseconds took);

  // All outlive the collector.
  Collector(Options options, datapath::PathReader* datapath, FlowAssembler* assembler, History* history, EventHub* hub,
            FlowSweeper* sweeper);
  ~Collector() { Stop(); }

  // Before Start.
  void NameProcesses(CatchUp catch_up) { catch_up_ = std::move(catch_up); }

  void Start();
  void Stop();
  void Wake();  // somebody has begun to follow

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
  std::optional<std::uint64_t> known_lost_;  // absent: what the counter says is from before this process; likewise:
  std::optional<std::uint64_t> known_refused_;
  std::map<std::uint32_t, std::uint64_t> known_refused_of_;  // by endpoint number
  std::mutex mutex_;
  std::condition_variable wake_;
  bool woken_ = false;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace sluice::telemetry
