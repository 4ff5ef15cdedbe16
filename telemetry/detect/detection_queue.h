// A bounded queue of detections in their order. When it is full, the rule with the most gives up its newest, and of
// that rule the workload with the most: so neither a rule nor a workload pushes the others out. Not thread-safe.
#pragma once

#include <deque>
#include <map>
#include <optional>

#include "telemetry/event/fair_queue.h"

namespace sluice::telemetry {

class DetectionQueue {
 public:
  struct Limits {
    std::size_t max_events = 4096;
    std::size_t max_bytes = 16U << 20U;
  };
  explicit DetectionQueue(Limits limits) : limits_(limits) {}
  DetectionQueue(const DetectionQueue&) = delete;
  DetectionQueue& operator=(const DetectionQueue&) = delete;

  // Events must be detections. Returns those that were given up; `event` itself may be one of them.
  std::vector<EventPtr> Push(EventPtr event);
  EventPtr Pop();  // the oldest; null: empty

  bool empty() const { return items_.empty(); }
  std::size_t size() const { return items_.size(); }

 private:
  using Places = std::deque<std::uint64_t>;
  struct RuleShare {
    std::size_t events = 0;
    std::map<policy::ObjectName, Places> workloads;
  };
  struct Item {
    EventPtr event;
    std::size_t bytes = 0;
  };
  EventPtr GiveUpOne();
  EventPtr Remove(std::uint64_t place, bool newest);

  const Limits limits_;
  std::map<std::uint64_t, Item> items_;  // by place
  std::map<std::string, RuleShare> rules_;
  std::uint64_t next_place_ = 0;
  std::size_t bytes_ = 0;
};

}  // namespace sluice::telemetry
