// A bounded queue of events in their order. When it is full, the workload with the most events loses one, so that a
// flood of one workload does not push out the others' events. Not thread-safe.
//   FairQueue queue({.max_events = 8192}, FairQueue::GivesUp::kNewest);
//   for (const EventPtr& gone : queue.Push(event)) lost[OwnerOf(*gone)]++;
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <vector>

#include "api/sluice.pb.h"
#include "policy/resource/model.h"

namespace sluice::telemetry {

using EventPtr = std::shared_ptr<const v1::Event>;

class FairQueue {
 public:
  struct Limits {
    std::size_t max_events = 0;
    std::size_t max_bytes = SIZE_MAX;
  };
  enum class GivesUp { kOldest, kNewest };

  FairQueue(Limits limits, GivesUp gives_up) : limits_(limits), gives_up_(gives_up) {}
  FairQueue(const FairQueue&) = delete;
  FairQueue& operator=(const FairQueue&) = delete;

  // Returns the events that were pushed out; `event` itself may be one of them.
  std::vector<EventPtr> Push(EventPtr event);
  // Does not count against the limits, and belongs to no workload.
  void PushUnbounded(EventPtr event);
  EventPtr Pop();  // the oldest; null: empty
  std::vector<EventPtr> Read() const;

  bool empty() const { return items_.empty(); }
  std::size_t size() const { return items_.size(); }
  // The next event may not fit: all places are taken, or events were pushed out since the last Pop.
  bool full() const { return counted_ >= limits_.max_events || gave_up_; }

 private:
  struct Share {
    std::deque<std::uint64_t> places;
    std::size_t bytes = 0;
  };
  using Shares = std::map<policy::ObjectName, Share>;
  struct Item {
    EventPtr event;
    Shares::iterator share;  // end: pushed by PushUnbounded
    std::size_t bytes;
  };
  Shares::iterator Largest(bool by_bytes);
  EventPtr Remove(std::map<std::uint64_t, Item>::iterator item);

  const Limits limits_;
  const GivesUp gives_up_;
  std::map<std::uint64_t, Item> items_;  // by place
  Shares shares_;
  std::uint64_t next_place_ = 0;
  std::size_t counted_ = 0;  // without those from PushUnbounded
  std::size_t bytes_ = 0;
  bool gave_up_ = false;  // since the last Pop
};

}  // namespace sluice::telemetry
