#include "telemetry/detect/detection_queue.h"

#include <algorithm>
#include <utility>

#include "telemetry/event/event_owner.h"

namespace sluice::telemetry {

std::vector<EventPtr> DetectionQueue::Push(EventPtr event) {
  const std::size_t bytes = event->SpaceUsedLong();
  RuleShare& rule = rules_[event->detection().rule()];
  rule.events++;
  rule.workloads[OwnerOf(*event)].push_back(next_place_);
  items_[next_place_++] = {std::move(event), bytes};
  bytes_ += bytes;
  std::vector<EventPtr> gone;
  while (items_.size() > limits_.max_events || (bytes_ > limits_.max_bytes && items_.size() > 1)) {
    gone.push_back(GiveUpOne());
  }
  return gone;
}

EventPtr DetectionQueue::Pop() { return items_.empty() ? nullptr : Remove(items_.begin()->first, false); }

EventPtr DetectionQueue::GiveUpOne() {
  const auto rule = std::max_element(rules_.begin(), rules_.end(),
                                     [](const auto& a, const auto& b) { return a.second.events < b.second.events; });
  const auto& workloads = rule->second.workloads;
  const auto workload = std::max_element(workloads.begin(), workloads.end(), [](const auto& a, const auto& b) {
    return a.second.size() < b.second.size();
  });
  return Remove(workload->second.back(), true);
}

EventPtr DetectionQueue::Remove(std::uint64_t place, bool newest) {
  const auto item = items_.find(place);
  EventPtr event = std::move(item->second.event);
  bytes_ -= item->second.bytes;
  items_.erase(item);
  const auto rule = rules_.find(event->detection().rule());
  const auto workload = rule->second.workloads.find(OwnerOf(*event));
  if (newest) {
    workload->second.pop_back();
  } else {
    workload->second.pop_front();
  }
  if (workload->second.empty()) rule->second.workloads.erase(workload);
  if (--rule->second.events == 0) rules_.erase(rule);
  return event;
}

}  // namespace sluice::telemetry
