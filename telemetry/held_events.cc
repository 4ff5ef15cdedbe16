#include "telemetry/held_events.h"

namespace sluice::telemetry {
namespace {

constexpr std::uint32_t kListeners = SL_CT_LISTENER_INITIATOR | SL_CT_LISTENER_RESPONDER;

bool IsMissing(const sl_flow_end& end, sl_process_id process, std::uint32_t listener) {
  return end.endpoint != 0 && (process == 0 || listener != 0);
}

// Nobody answers what was denied.
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
  events_.push_back(event);
  if (IsIncomplete(event)) {
    beginnings_[event.entry.id] = &events_.back();
  } else if (const auto beginning = beginnings_.find(event.entry.id);
             beginning != beginnings_.end() && event.type != SL_FLOW_NEW) {
    Learn(event.entry, &beginning->second->entry);
  }
}

std::optional<sl_flow_event> HeldEvents::Pop(std::uint64_t now_ns, std::uint64_t hold_ns) {
  if (events_.empty()) return std::nullopt;
  sl_flow_event& first = events_.front();
  if (IsIncomplete(first)) {
    if (const auto now = look_(first.key, first.entry.id)) Learn(*now, &first.entry);
    const bool held = now_ns < first.time_ns + hold_ns && events_.size() <= max_events_;
    if (held && IsIncomplete(first)) return std::nullopt;
  }
  if (first.type == SL_FLOW_NEW) beginnings_.erase(first.entry.id);
  const sl_flow_event event = first;
  events_.pop_front();
  return event;
}

}  // namespace sluice::telemetry
