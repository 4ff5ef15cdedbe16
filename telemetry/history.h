// The newest past events, a bounded number of them: flows, and beside them what processes did, so that many of the one
// do not crowd out the other. Thread-safe.
#pragma once

#include <deque>
#include <memory>
#include <mutex>
#include <vector>

#include "ctrl/api/sluice.pb.h"

namespace sluice::telemetry {

using EventPtr = std::shared_ptr<const v1::Event>;

class History {
 public:
  // `capacity` and `max_bytes` hold for each of the two; an event of a process can be large.
  explicit History(std::size_t capacity = 4096, std::size_t max_bytes = 32U << 20)
      : capacity_(capacity), max_bytes_(max_bytes) {}

  // The oldest go when there is no room.
  void Push(EventPtr event);
  std::vector<EventPtr> Read() const;  // of each kind newest last

 private:
  struct Shelf {
    std::deque<EventPtr> events;
    std::size_t bytes = 0;
  };

  const std::size_t capacity_;
  const std::size_t max_bytes_;
  mutable std::mutex mutex_;
  Shelf flows_;
  Shelf others_;
};

}  // namespace sluice::telemetry
