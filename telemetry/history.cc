#include "telemetry/history.h"

namespace sluice::telemetry {

void History::Push(EventPtr event) {
  const std::lock_guard lock(mutex_);
  events_.push_back(std::move(event));
  if (events_.size() > capacity_) events_.pop_front();
}

std::vector<EventPtr> History::Read() const {
  const std::lock_guard lock(mutex_);
  return {events_.begin(), events_.end()};
}

}  // namespace sluice::telemetry
