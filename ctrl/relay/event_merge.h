// Orders the events of several nodes by time, for one reader. Pure: times are arguments. For one thread at a time.
//
//   EventMerge merge({.hold_ns = 500'000'000});
//   merge.Add(1, now);
//   merge.Push(1, std::move(event), bytes, now);
//   while (auto next = merge.Next(now)) Write(next->event);
//
// Each node's own order is kept. An event waits until every other node has an event too or has none to wait for, but
// no longer than `hold`. So that a node with a wrong clock cannot hold back the others for ever, an event counts as no
// older than `hold` when it comes, and as no younger than the present: after `hold`, any event is before all that come.
// Past events (before GoLive) have no such limit, as they are old when they come; the caller ends that phase in time.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>

#include "api/sluice.pb.h"

namespace sluice::cluster {

class EventMerge {
 public:
  using Source = std::uint64_t;
  struct Options {
    std::int64_t hold_ns = 500'000'000;
    std::int64_t stall_ns = 5'000'000'000;  // past events: a node that sends nothing for so long is not waited for
    bool past = false;                      // begins with past events
  };
  struct Merged {
    Source source = 0;
    v1::Event event;
    bool late = false;  // a younger event of another node was passed on before
  };

  explicit EventMerge(Options options) : options_(options), past_(options.past) {}

  // Its events are waited for from `now` on. A number that is used once only.
  void Add(Source source, std::int64_t now_ns);
  // No more events come from it. Those that wait are still passed on.
  void End(Source source);
  void Push(Source source, v1::Event event, std::int64_t now_ns);
  // The past events are over: from now on, nobody is waited for longer than `hold`.
  void GoLive(std::int64_t now_ns);
  bool is_past() const { return past_; }

  // The next event. Nothing: all wait. With `drain`, without waiting for anybody.
  std::optional<Merged> Next(std::int64_t now_ns, bool drain = false);
  // When Next may have something without another call. Nothing: there are no events.
  std::optional<std::int64_t> NextAt() const;
  // How many events and bytes of it wait.
  std::size_t waiting(Source source) const;
  std::size_t waiting_bytes(Source source) const;
  bool is_empty() const { return heads_.empty(); }
  // Whether it has ended, and nothing of it waits.
  bool is_over(Source source) const;
  // Past events: every node has ended, or is not waited for.
  bool IsQuiet(std::int64_t now_ns) const;

 private:
  struct Waiting {
    v1::Event event;
    std::int64_t key = 0;
    std::size_t bytes = 0;
  };
  struct Queue {
    std::deque<Waiting> events;
    std::size_t bytes = 0;
    std::int64_t last_key = INT64_MIN;
    std::int64_t heard_ns = 0;
    bool ended = false;
  };
  bool Blocks(const Queue& queue, std::int64_t now_ns) const;
  bool IsLate(Source source, std::int64_t time);

  const Options options_;
  bool past_;
  std::map<Source, Queue> queues_;
  std::set<std::pair<std::int64_t, Source>> heads_;  // by key: the oldest event of each queue that has one
  // The youngest event passed on, and the youngest of all other sources.
  Source youngest_source_ = 0;
  std::int64_t youngest_ = INT64_MIN;
  std::int64_t youngest_of_others_ = INT64_MIN;
};

}  // namespace sluice::cluster
