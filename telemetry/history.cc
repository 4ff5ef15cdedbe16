#include "telemetry/history.h"

namespace sluice::telemetry {

void History::Push(EventPtr event) {
  const std::lock_guard lock(mutex_);
  Shelf& shelf = event->has_flow() ? flows_ : others_;
  shelf.bytes += event->SpaceUsedLong();
  shelf.events.push_back(std::move(event));
  while (shelf.events.size() > capacity_ || (shelf.bytes > max_bytes_ && !shelf.events.empty())) {
    shelf.bytes -= shelf.events.front()->SpaceUsedLong();
    shelf.events.pop_front();
  }
}

std::vector<EventPtr> History::Read() const {
  const std::lock_guard lock(mutex_);
  std::vector<EventPtr> events(flows_.events.begin(), flows_.events.end());
  events.insert(events.end(), others_.events.begin(), others_.events.end());
  return events;
}

}  // namespace sluice::telemetry
