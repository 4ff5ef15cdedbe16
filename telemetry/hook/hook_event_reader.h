// Records of the hook programs -> events for followers, the history and files. One thread reads the ring:
//   HookEventReader reader({.describe = ..., .catch_up = ...}, &tree, &events, &hub, &history);
//   reader.Consume(record, size);  // for each record
//   reader.Tick(events.Now());     // after each reading, and several times a second
// Only `counters` may be called from other threads.
//
// An event waits for the return of its call, for at most a second (HookCalls), and for the sensors' record of its
// process. Memory is bounded: see HookCalls::Options and max_batch.
#pragma once

#include <atomic>

#include "telemetry/event/event_hub.h"
#include "telemetry/hook/hook_description.h"
#include "telemetry/hook/hook_stacks.h"
#include "telemetry/process/process_events.h"

namespace sluice::telemetry {

// Finds the workload of an sl_hook_event.subject; nothing: it is the host, or not known. From the reading thread.
using SubjectResolver = std::function<std::optional<policy::ObjectName>(std::uint32_t subject)>;

class HookEventReader {
 public:
  struct Options {
    HookDescriber describe;
    SubjectResolver subject;         // may be empty; for processes that are not known
    std::function<void()> catch_up;  // ProcessSensor::CatchUp; may be empty
    HookStacks* stacks = nullptr;    // null: events are without stacks
    HookCalls::Options calls;
    std::size_t max_batch = 256;  // records that wait for the next Tick, at most about 20 KiB each
  };
  struct Counters {  // since the start
    std::uint64_t events = 0;
    std::uint64_t malformed = 0;      // records that could not be decoded
    std::uint64_t cut_arguments = 0;  // as HookRecord::cut_arguments
    std::uint64_t unknown_hooks = 0;  // records of hooks that are known no more
    std::uint64_t calls_alone = 0;    // as in HookCalls::Counters
    std::uint64_t returns_alone = 0;
    std::uint64_t pushed_out = 0;
  };

  // `history` may be null. All must outlive the reader.
  HookEventReader(Options options, const ProcessTree* tree, const ProcessEvents* processes, EventHub* hub,
                  History* history);

  void Consume(const void* record, std::size_t size);
  // `now_ns`: CLOCK_BOOTTIME.
  void Tick(std::uint64_t now_ns);
  // Reports `count` records that the kernel could not send, to followers.
  void TellLost(std::uint64_t count);

  Counters counters() const;

 private:
  void Flush();
  void Publish(const HookCall& call);
  v1::Event Begin(const sl_hook_event& event) const;

  const Options options_;
  const ProcessTree* const tree_;
  const ProcessEvents* const processes_;
  EventHub* const hub_;
  History* const history_;
  HookCalls calls_;
  std::uint64_t now_ns_;  // of the last Tick
  std::uint64_t unknown_told_ = 0;
  std::atomic<std::uint64_t> events_ = 0;
  std::atomic<std::uint64_t> malformed_ = 0;
  std::atomic<std::uint64_t> cut_arguments_ = 0;
  std::atomic<std::uint64_t> unknown_hooks_ = 0;
  std::atomic<std::uint64_t> calls_alone_ = 0;
  std::atomic<std::uint64_t> returns_alone_ = 0;
  std::atomic<std::uint64_t> pushed_out_ = 0;
};

}  // namespace sluice::telemetry
