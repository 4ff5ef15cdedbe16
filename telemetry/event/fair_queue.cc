#include "telemetry/event/fair_queue.h"

#include <algorithm>

#include "telemetry/event/event_owner.h"

namespace sluice::telemetry {

FairQueue::Shares::iterator FairQueue::Largest(bool by_bytes) {
  return std::max_element(shares_.begin(), shares_.end(), [&](const auto& a, const auto& b) {
    return by_bytes ? a.second.bytes < b.second.bytes : a.second.places.size() < b.second.places.size();
  });
}

// `item` is the oldest or the newest of its share.
EventPtr FairQueue::Remove(std::map<std::uint64_t, Item>::iterator item) {
  EventPtr event = std::move(item->second.event);
  if (const auto share = item->second.share; share != shares_.end()) {
    std::deque<std::uint64_t>& places = share->second.places;
    places.front() == item->first ? places.pop_front() : places.pop_back();
    share->second.bytes -= item->second.bytes;
    counted_--;
    bytes_ -= item->second.bytes;
    if (places.empty()) shares_.erase(share);
  }
  items_.erase(item);
  return event;
}

std::vector<EventPtr> FairQueue::Push(EventPtr event) {
  const auto share = shares_.try_emplace(OwnerOf(*event)).first;
  const std::size_t bytes = event->SpaceUsedLong();
  share->second.places.push_back(next_place_);
  share->second.bytes += bytes;
  counted_++;
  bytes_ += bytes;
  items_.emplace(next_place_++, Item{std::move(event), share, bytes});
  std::vector<EventPtr> gone;
  while (counted_ > limits_.max_events || bytes_ > limits_.max_bytes) {
    const std::deque<std::uint64_t>& places = Largest(counted_ <= limits_.max_events)->second.places;
    gone.push_back(Remove(items_.find(gives_up_ == GivesUp::kOldest ? places.front() : places.back())));
  }
  gave_up_ = gave_up_ || !gone.empty();
  return gone;
}

void FairQueue::PushUnbounded(EventPtr event) {
  items_.emplace(next_place_++, Item{std::move(event), shares_.end(), 0});
}

EventPtr FairQueue::Pop() {
  gave_up_ = false;
  return items_.empty() ? nullptr : Remove(items_.begin());
}

std::vector<EventPtr> FairQueue::Read() const {
  std::vector<EventPtr> events;
  events.reserve(items_.size());
  for (const auto& [place, item] : items_) events.push_back(item.event);
  return events;
}

}  // namespace sluice::telemetry
