#include "telemetry/event/held_events.h"

#include <algorithm>

namespace sluice::telemetry {
namespace {

constexpr std::uint32_t kListeners = SL_CT_LISTENER_INITIATOR | SL_CT_LISTENER_RESPONDER;

bool IsMissing(const sl_flow_end& end, sl_process_id process, std::uint32_t listener) {
  return end.endpoint != 0 && (process == 0 || listener != 0);
}

// A denied flow gets no answer, so its event need not wait.
bool IsIncomplete(const sl_flow_event& event) {
  const sl_flow_entry& entry = event.entry;
  return event.type == SL_FLOW_NEW && entry.reason == SL_DROP_NONE &&
         (IsMissing(entry.initiator, entry.initiator_process, entry.flags & SL_CT_LISTENER_INITIATOR) ||
          IsMissing(entry.responder, entry.responder_process, entry.flags & SL_CT_LISTENER_RESPONDER));
}

void Learn(const sl_flow_entry& from, sl_flow_entry* to) {
  if (from.initiator_process != 0) to->initiator_process = from.initiator_process;
  if (from.responder_process != 0) to->responder_process = from.responder_process;
  to->flags = (to->flags & ~kListeners) | (from.flags & kListeners);
}

}  // namespace

void HeldEvents::Push(const sl_flow_event& event) {
  const std::uint32_t opener = event.entry.initiator.endpoint;
  const auto queue = queues_.try_emplace(opener != 0 ? opener : event.entry.responder.endpoint).first;
  if (queue->second.empty()) firsts_.emplace(next_place_, queue);
  queue->second.push_back({.event = event, .place = next_place_++});
  size_++;
  if (IsIncomplete(event)) {
    beginnings_[event.entry.id] = &queue->second.back().event;
  } else if (const auto beginning = beginnings_.find(event.entry.id);
             beginning != beginnings_.end() && event.type != SL_FLOW_NEW) {
    Learn(event.entry, &beginning->second->entry);
  }
}

bool HeldEvents::MayGo(Held& held, std::uint64_t now_ns, std::uint64_t hold_ns) {
  if (!IsIncomplete(held.event)) return true;
  if (held.looked != pass_) {
    held.looked = pass_;
    if (const auto now = look_(held.event.key, held.event.entry.id)) Learn(*now, &held.event.entry);
  }
  return now_ns >= held.event.time_ns + hold_ns || !IsIncomplete(held.event);
}

std::optional<sl_flow_event> HeldEvents::Pop(std::uint64_t now_ns, std::uint64_t hold_ns) {
  for (const auto& [place, queue] : firsts_) {
    if (MayGo(queue->second.front(), now_ns, hold_ns)) return Take(queue);
  }
  if (size_ <= max_events_) {
    pass_++;
    return std::nullopt;
  }
  return Take(std::max_element(queues_.begin(), queues_.end(),
                               [](const auto& a, const auto& b) { return a.second.size() < b.second.size(); }));
}

sl_flow_event HeldEvents::Take(Queues::iterator queue) {
  const Held& first = queue->second.front();
  const sl_flow_event event = first.event;
  firsts_.erase(first.place);
  if (event.type == SL_FLOW_NEW) beginnings_.erase(event.entry.id);
  queue->second.pop_front();
  size_--;
  if (queue->second.empty()) {
    queues_.erase(queue);
  } else {
    firsts_.emplace(queue->second.front().place, queue);
  }
  return event;
}

}  // namespace sluice::telemetry
