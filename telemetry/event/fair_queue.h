// A bounded number of events in their order. When there are too many, whoever has the most of them gives one up, so
// that a flood of one workload's takes no other's. Not thread-safe.
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

  // Returns what had to go, which may be `event` itself.
  std::vector<EventPtr> Push(EventPtr event);
  // Beside the limits, and nobody's.
  void PushUnbounded(EventPtr event);
  EventPtr Pop();  // the oldest; null: there is none
  std::vector<EventPtr> Read() const;

  bool empty() const { return items_.empty(); }
  std::size_t size() const { return items_.size(); }
  // Has no place, or had too few bytes for what came last.
  bool full() const { return counted_ >= limits_.max_events || gave_up_; }

 private:
  struct Share {
    std::deque<std::uint64_t> places;
    std::size_t bytes = 0;
  };
  using Shares = std::map<policy::ObjectName, Share>;
  struct Item {
    EventPtr event;
    Shares::iterator share;  // end: nobody's
    std::size_t bytes;
  };
  Shares::iterator Largest(bool by_bytes);
  EventPtr Remove(std::map<std::uint64_t, Item>::iterator item);

  const Limits limits_;
  const GivesUp gives_up_;
  std::map<std::uint64_t, Item> items_;  // by place
  Shares shares_;
  std::uint64_t next_place_ = 0;
  std::size_t counted_ = 0;  // but for those beside the limits
  std::size_t bytes_ = 0;
  bool gave_up_ = false;  // since the last Pop
};

}  // namespace sluice::telemetry
