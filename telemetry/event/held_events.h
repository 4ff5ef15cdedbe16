// Flow events, each held until what belongs to a flow's beginning is known: whose process answers is told by the first
// answer, which comes a moment after the packet that opened the flow. Those of one workload come out in their order.
// When too many wait, whoever has the most of them waits no more, so that a flood of one workload's takes no other's
// processes. Not thread-safe.
//   held.Push(event);                 // as the packet path sent it
//   while (const auto event = held.Pop(now_ns, hold_ns)) ...
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
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
  // The oldest that need not wait, with the processes that are known by now; nothing: there is none, or all that may go
  // are younger than `hold_ns` and something is missing. CLOCK_MONOTONIC.
  std::optional<sl_flow_event> Pop(std::uint64_t now_ns, std::uint64_t hold_ns);
  bool empty() const { return size_ == 0; }

 private:
  struct Held {
    sl_flow_event event;
    std::uint64_t place;
    std::uint64_t looked = 0;  // in which pass: a pass ends where Pop has nothing
  };
  using Queue = std::deque<Held>;
  using Queues = std::map<std::uint32_t, Queue>;  // by workload number: of who opened the flow, else of its target

  bool MayGo(Held& held, std::uint64_t now_ns, std::uint64_t hold_ns);
  sl_flow_event Take(Queues::iterator queue);

  const std::size_t max_events_;
  const Look look_;
  Queues queues_;                                                 // none is empty
  std::map<std::uint64_t, Queues::iterator> firsts_;              // by place of their first
  std::unordered_map<std::uint64_t, sl_flow_event*> beginnings_;  // by id: those that something is missing of
  std::uint64_t next_place_ = 0;
  std::uint64_t pass_ = 1;
  std::size_t size_ = 0;
};

}  // namespace sluice::telemetry
