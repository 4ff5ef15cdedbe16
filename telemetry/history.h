// The newest past events, a bounded number of them. Thread-safe.
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
  explicit History(std::size_t capacity = 4096) : capacity_(capacity) {}

  // The oldest goes when there is no room.
  void Push(EventPtr event);
  std::vector<EventPtr> Read() const;  // newest last

 private:
  const std::size_t capacity_;
  mutable std::mutex mutex_;
  std::deque<EventPtr> events_;
};

}  // namespace sluice::telemetry
