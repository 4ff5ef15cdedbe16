// Passes events from their sources to all followers. Each follower has a bounded queue; events that do not fit are
// counted and reported to that follower as a `lost` event in their place. A slow follower delays nothing else. In a
// full queue, the workload with the most events loses one.
//
// Thread-safe. The hub must outlive its subscriptions.
//   auto following = hub.Subscribe(filter);
//   while (EventPtr event = (*following)->Next(200ms)) ...
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <set>

#include "base/status.h"
#include "telemetry/event/clock.h"
#include "telemetry/event/event_filter.h"
#include "telemetry/event/history.h"

namespace sluice::telemetry {

class EventHub;

class Subscription {
 public:
  ~Subscription();
  Subscription(const Subscription&) = delete;
  Subscription& operator=(const Subscription&) = delete;

  // The next event; null when none came in time or the hub is closed.
  EventPtr Next(std::chrono::milliseconds timeout);

 private:
  friend class EventHub;
  Subscription(EventHub* hub, EventFilter filter, FairQueue::Limits limits, bool with_parents)
      : hub_(hub),
        filter_(std::move(filter)),
        with_parents_(with_parents),
        queue_(limits, FairQueue::GivesUp::kNewest) {}

  EventHub* const hub_;
  const EventFilter filter_;
  const bool with_parents_;
  FairQueue queue_;                                   // by the hub's mutex
  std::map<policy::ObjectName, std::uint64_t> lost_;  // by the hub's mutex; not reported yet, by OwnerOf the events
};

class EventHub {
 public:
  struct Options {
    std::string node;
    std::size_t queue_capacity = 8192;
    std::size_t queue_bytes = 32U << 20;
    std::size_t max_subscribers = 97;  // as many as all APIs together admit, the export and the Responses
    Clock clock = ReadClocks;
  };
  // Called when the first follower comes and when the last one has gone, in order and one call at a time. Must not call
  // the hub.
  using WatchSwitch = std::function<void(bool watched)>;

  EventHub(Options options, WatchSwitch on_watch);

  // ResourceExhausted: too many followers. Unavailable: the hub is closed. The switch is called before this returns.
  // `with_parents`: sources fill v1::Event.parent.
  StatusOr<std::unique_ptr<Subscription>> Subscribe(EventFilter filter, bool with_parents = false);
  void Publish(const EventPtr& event);
  // Reports to all followers that a source lost `count` events before they reached the hub.
  void PublishLoss(const char* cause, std::uint64_t count) { PublishLoss(cause, {}, "", count); }
  // The same for events of one workload and one type.
  void PublishLoss(const char* cause, const policy::ObjectName& workload, const char* type, std::uint64_t count);
  // Ends every Next. No new subscriptions afterwards.
  void Close();

  std::size_t subscribers() const;
  bool watched() const { return subscribers() != 0; }
  bool wants_parents() const { return with_parents_ != 0; }
  bool closed() const;
  std::uint64_t lost() const;  // by full queues, since the start

 private:
  friend class Subscription;
  void Unsubscribe(Subscription* subscription);
  EventPtr MakeLoss(const char* cause, const policy::ObjectName& workload, std::uint64_t count, const char* type = "");
  EventPtr TakeLoss(Subscription* subscription);  // one of lost_
  void Enqueue(Subscription* subscription, const EventPtr& event);

  const Options options_;
  const WatchSwitch on_watch_;
  WallClock clock_;
  std::mutex switch_mutex_;  // orders Subscribe and Unsubscribe; locked before mutex_
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::set<Subscription*> subscriptions_;
  std::atomic<std::size_t> with_parents_ = 0;  // subscriptions
  std::uint64_t lost_ = 0;
  bool closed_ = false;
};

}  // namespace sluice::telemetry
