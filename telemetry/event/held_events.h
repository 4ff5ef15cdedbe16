// Holds a flow's first event until the processes at both ends are known: the responder's process is known only with the
// first answer, a moment after the first packet. Events of one workload come out in order. When too many wait, the
// workload with the most is released first, so that a flood of one workload does not cost the others their processes.
// Not thread-safe.
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
  // Reads the flow's current entry; nothing if it is not the record with this id any more. May push new events.
  using Look = std::function<std::optional<sl_flow_entry>(const sl_flow_key& key, std::uint64_t id)>;

  // `max_events`: the most events that are held.
  HeldEvents(std::size_t max_events, Look look) : max_events_(max_events), look_(std::move(look)) {}

  void Push(const sl_flow_event& event);
  // The oldest event that need not wait, with the processes known by now. An event stops waiting when its processes are
  // known or it is older than `hold_ns`. Nothing: empty, or all must wait. Times are CLOCK_MONOTONIC.
  std::optional<sl_flow_event> Pop(std::uint64_t now_ns, std::uint64_t hold_ns);
  bool empty() const { return size_ == 0; }

 private:
  struct Held {
    sl_flow_event event;
    std::uint64_t place;
    std::uint64_t looked = 0;  // the pass of the last look_; a pass ends when Pop returns nothing
  };
  using Queue = std::deque<Held>;
  using Queues = std::map<std::uint32_t, Queue>;  // by endpoint: the initiator's, else the responder's

  bool MayGo(Held& held, std::uint64_t now_ns, std::uint64_t hold_ns);
  sl_flow_event Take(Queues::iterator queue);

  const std::size_t max_events_;
  const Look look_;
  Queues queues_;                                                 // no empty queues
  std::map<std::uint64_t, Queues::iterator> firsts_;              // by place of each queue's first event
  std::unordered_map<std::uint64_t, sl_flow_event*> beginnings_;  // incomplete first events, by flow id
  std::uint64_t next_place_ = 0;
  std::uint64_t pass_ = 1;
  std::size_t size_ = 0;
};

}  // namespace sluice::telemetry
