#include "telemetry/event/history.h"

#include <utility>

#include "telemetry/event/event_owner.h"

namespace sluice::telemetry {

void History::Push(EventPtr event) {
  if (!event->has_flow()) {
    const std::lock_guard lock(mutex_);
    FairQueue& queue = event->has_hook() || event->has_alert() || event->has_detection() ? hooks_ : others_;
    queue.Push(std::move(event));
    return;
  }
  if (capacity_ == 0) return;
  FlowPacker::Packed packed = packer_.Pack(*event);
  flows_.Push(std::move(packed.flow), packed.bytes, OwnerOf(*event));
  // Of parts that nobody else shares, the workload with the most bytes has the most.
  while (packer_.shared_bytes() > max_shared_bytes_ && flows_.size() > 1) flows_.GiveUpOne();
}

std::vector<History::Kept> History::List() const {
  std::vector<Kept> all;
  auto flows = flows_.Read(0, SIZE_MAX);
  all.reserve(flows.entries.size());
  for (auto& [number, flow] : flows.entries) all.emplace_back(std::move(flow));
  const std::lock_guard lock(mutex_);
  for (const FairQueue* queue : {&hooks_, &others_})
    for (EventPtr& event : queue->Read()) all.emplace_back(std::move(event));
  return all;
}

EventPtr History::Load(const Kept& kept) const {
  const auto* const flow = std::get_if<PackedFlow>(&kept);
  EventPtr event = flow != nullptr ? Unpack(*flow) : std::get<EventPtr>(kept);
  return complete_ ? complete_(std::move(event)) : event;
}

std::vector<EventPtr> History::Read() const {
  std::vector<EventPtr> events;
  for (const Kept& kept : List()) events.push_back(Load(kept));
  return events;
}

}  // namespace sluice::telemetry
