#include "telemetry/event/history.h"

namespace sluice::telemetry {

void History::Push(EventPtr event) {
  const std::lock_guard lock(mutex_);
  FairQueue& queue = event->has_flow()                                                   ? flows_
                     : event->has_hook() || event->has_alert() || event->has_detection() ? hooks_
                                                                                         : others_;
  queue.Push(std::move(event));
}

std::vector<EventPtr> History::Read() const {
  std::vector<EventPtr> events;
  {
    const std::lock_guard lock(mutex_);
    events = flows_.Read();
    for (const FairQueue* queue : {&hooks_, &others_}) {
      const std::vector<EventPtr> more = queue->Read();
      events.insert(events.end(), more.begin(), more.end());
    }
  }
  if (complete_) {
    for (EventPtr& event : events) event = complete_(std::move(event));
  }
  return events;
}

}  // namespace sluice::telemetry
