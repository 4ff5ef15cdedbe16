// The newest past events, bounded in number and in bytes. Flows, hooks and other events have separate queues, so that
// none pushes out the others; nor does a flood of one workload push out the others' events. Flows are packed: there may
// be very many of them. Thread-safe.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <variant>
#include <vector>

#include "telemetry/event/event_ring.h"
#include "telemetry/event/fair_queue.h"
#include "telemetry/event/packed_flow.h"

namespace sluice::telemetry {

class History {
 public:
  // One event in the history, in the form in which it is kept there.
  using Kept = std::variant<EventPtr, PackedFlow>;

  // `capacity` and `max_bytes` apply to each of the three queues; a process event can be large. What flows share is
  // bounded by a quarter of `max_bytes` in addition.
  explicit History(std::size_t capacity = 4096, std::size_t max_bytes = 32U << 20)
      : capacity_(capacity),
        max_shared_bytes_(max_bytes / 4),
        flows_({.max_entries = capacity, .max_bytes = max_bytes}),
        hooks_({capacity, max_bytes}, FairQueue::GivesUp::kOldest),
        others_({capacity, max_bytes}, FairQueue::GivesUp::kOldest) {}

  // From now on, Load and Read return `complete(event)` for each event, which may know more by then. Call before other
  // threads use this.
  void CompleteWith(std::function<EventPtr(EventPtr)> complete) { complete_ = std::move(complete); }

  // When full, the oldest events of the workload with the most are removed.
  void Push(EventPtr event);

  // Flows, hooks, others; each newest last. A caller that loads one event after the other needs little memory.
  std::vector<Kept> List() const;
  EventPtr Load(const Kept& kept) const;
  std::vector<EventPtr> Read() const;  // all of them, loaded

 private:
  const std::size_t capacity_;
  const std::size_t max_shared_bytes_;
  std::function<EventPtr(EventPtr)> complete_;  // may be empty
  FlowPacker packer_;
  EventRing<PackedFlow> flows_;
  mutable std::mutex mutex_;
  FairQueue hooks_;   // by mutex_
  FairQueue others_;  // likewise
};

}  // namespace sluice::telemetry
