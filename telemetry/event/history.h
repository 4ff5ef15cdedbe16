// The newest past events, a bounded number of them: flows, and beside them what processes did, so that many of the one
// do not crowd out the other; nor do many of one workload those of others. Thread-safe.
#pragma once

#include <memory>
#include <mutex>
#include <vector>

#include "telemetry/event/fair_queue.h"

namespace sluice::telemetry {

class History {
 public:
  // `capacity` and `max_bytes` hold for each of the two; an event of a process can be large.
  explicit History(std::size_t capacity = 4096, std::size_t max_bytes = 32U << 20)
      : flows_({capacity, max_bytes}, FairQueue::GivesUp::kOldest),
        others_({capacity, max_bytes}, FairQueue::GivesUp::kOldest) {}

  // When there is no room, the oldest go of the workload that has the most.
  void Push(EventPtr event);
  std::vector<EventPtr> Read() const;  // of each kind newest last

 private:
  mutable std::mutex mutex_;
  FairQueue flows_;
  FairQueue others_;
};

}  // namespace sluice::telemetry
