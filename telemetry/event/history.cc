#include "telemetry/event/history.h"

namespace sluice::telemetry {

void History::Push(EventPtr event) {
  const std::lock_guard lock(mutex_);
  FairQueue& queue = event->has_flow() ? flows_ : others_;
  queue.Push(std::move(event));
}

std::vector<EventPtr> History::Read() const {
  std::vector<EventPtr> events;
  {
    const std::lock_guard lock(mutex_);
    events = flows_.Read();
    const std::vector<EventPtr> others = others_.Read();
    events.insert(events.end(), others.begin(), others.end());
  }
  if (complete_) {
    for (EventPtr& event : events) event = complete_(std::move(event));
  }
  return events;
}

}  // namespace sluice::telemetry
