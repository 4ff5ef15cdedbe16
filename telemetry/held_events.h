// Flow events in their order, each held until what belongs to a flow's beginning is known: whose process answers is
// told by the first answer, which comes a moment after the packet that opened the flow. Not thread-safe.
//   held.Push(event);                 // as the packet path sent it
//   while (const auto event = held.Pop(now_ns, hold_ns)) ...
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <unordered_map>

#include "bpf/abi/events.h"

namespace sluice::telemetry {

class HeldEvents {
 public:
  // The flow's entry as it is now, while its record is the one with this id. May push what came meanwhile.
  using Look = std::function<std::optional<sl_flow_entry>(const sl_flow_key& key, std::uint64_t id)>;

  // `max_events`: more are not held back.
  HeldEvents(std::size_t max_events, Look look) : max_events_(max_events), look_(std::move(look)) {}

  void Push(const sl_flow_event& event);
  // The oldest, with the processes that are known by now; nothing: there is none, or it is younger than `hold_ns` and
  // something is missing. CLOCK_MONOTONIC.
  std::optional<sl_flow_event> Pop(std::uint64_t now_ns, std::uint64_t hold_ns);
  bool empty() const { return events_.empty(); }

 private:
  const std::size_t max_events_;
  const Look look_;
  std::deque<sl_flow_event> events_;
  std::unordered_map<std::uint64_t, sl_flow_event*> beginnings_;  // by id: those that something is missing of
};

}  // namespace sluice::telemetry
