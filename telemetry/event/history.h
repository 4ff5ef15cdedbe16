// The newest past events, bounded in number. Flows, hooks and other events have separate queues, so that none pushes
// out the others; nor does a flood of one workload push out the others' events. Thread-safe.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <vector>

#include "telemetry/event/fair_queue.h"

namespace sluice::telemetry {

class History {
 public:
  // `capacity` and `max_bytes` apply to each of the three queues; a process event can be large.
  explicit History(std::size_t capacity = 4096, std::size_t max_bytes = 32U << 20)
      : flows_({capacity, max_bytes}, FairQueue::GivesUp::kOldest),
        hooks_({capacity, max_bytes}, FairQueue::GivesUp::kOldest),
        others_({capacity, max_bytes}, FairQueue::GivesUp::kOldest) {}

  // From now on, Read returns `complete(event)` for each event, which may know more by then. Call before other threads
  // use this.
  void CompleteWith(std::function<EventPtr(EventPtr)> complete) { complete_ = std::move(complete); }

  // When full, the oldest events of the workload with the most are removed.
  void Push(EventPtr event);
  std::vector<EventPtr> Read() const;  // flows, hooks, others; each newest last

 private:
  std::function<EventPtr(EventPtr)> complete_;  // may be empty
  mutable std::mutex mutex_;
  FairQueue flows_;
  FairQueue hooks_;
  FairQueue others_;
};

}  // namespace sluice::telemetry
