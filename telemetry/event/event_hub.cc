#include "telemetry/event/event_hub.h"

#include "telemetry/event/event_owner.h"

namespace sluice::telemetry {
namespace {

constexpr char kQueueFull[] = "SUBSCRIBER_QUEUE_FULL";
// The most loss events in one queue.
constexpr std::size_t kMaxLossesInQueue = 1024;

}  // namespace

Subscription::~Subscription() { hub_->Unsubscribe(this); }

EventPtr Subscription::Next(std::chrono::milliseconds timeout) {
  std::unique_lock lock(hub_->mutex_);
  hub_->changed_.wait_for(lock, timeout, [&] { return !queue_.empty() || !lost_.empty() || hub_->closed_; });
  if (!queue_.empty()) return queue_.Pop();
  return lost_.empty() ? nullptr : hub_->TakeLoss(this);
}

EventHub::EventHub(Options options, WatchSwitch on_watch)
    : options_(std::move(options)), on_watch_(std::move(on_watch)), clock_(options_.clock) {}

StatusOr<std::unique_ptr<Subscription>> EventHub::Subscribe(EventFilter filter, bool with_parents) {
  const std::lock_guard coming(switch_mutex_);
  std::unique_ptr<Subscription> subscription;
  bool first = false;
  {
    const std::lock_guard lock(mutex_);
    if (closed_) return MakeError(absl::StatusCode::kUnavailable, "the agent is stopping");
    if (subscriptions_.size() >= options_.max_subscribers) {
      return MakeError(absl::StatusCode::kResourceExhausted, "there are already {} observers: end one of them",
                       options_.max_subscribers);
    }
    subscription.reset(new Subscription(this, std::move(filter),
                                        {.max_events = options_.queue_capacity, .max_bytes = options_.queue_bytes},
                                        with_parents));
    first = subscriptions_.empty();
    subscriptions_.insert(subscription.get());
    with_parents_ += with_parents ? 1 : 0;
  }
  if (first) on_watch_(true);
  return subscription;
}

void EventHub::Unsubscribe(Subscription* subscription) {
  const std::lock_guard going(switch_mutex_);
  bool last = false;
  {
    const std::lock_guard lock(mutex_);
    const bool was_there = subscriptions_.erase(subscription) != 0;
    with_parents_ -= was_there && subscription->with_parents_ ? 1 : 0;
    last = was_there && subscriptions_.empty();
  }
  if (last) on_watch_(false);
}

EventPtr EventHub::MakeLoss(const char* cause, const policy::ObjectName& workload, std::uint64_t count,
                            const char* type) {
  auto event = std::make_shared<v1::Event>();
  v1::Lost& lost = *event->mutable_lost();
  *lost.mutable_time() = clock_.AtNow();
  lost.set_node(options_.node);
  lost.set_type("lost");
  lost.set_cause(cause);
  lost.set_count(count);
  lost.set_event(type);
  lost.set_namespace_(workload.ns);
  lost.set_workload(workload.name);
  return event;
}

EventPtr EventHub::TakeLoss(Subscription* subscription) {
  const auto first = subscription->lost_.extract(subscription->lost_.begin());
  return MakeLoss(kQueueFull, first.key(), first.mapped());
}

void EventHub::Enqueue(Subscription* subscription, const EventPtr& event) {
  if (!subscription->filter_.Matches(*event)) return;
  FairQueue& queue = subscription->queue_;
  if (!queue.full() && queue.size() < options_.queue_capacity + kMaxLossesInQueue) {
    while (!subscription->lost_.empty()) queue.PushUnbounded(TakeLoss(subscription));
  }
  for (const EventPtr& gone : queue.Push(event)) {
    subscription->lost_[OwnerOf(*gone)] += gone->has_lost() ? gone->lost().count() : 1;
    lost_ += gone->has_lost() ? 0 : 1;  // a source counts its own losses
  }
}

void EventHub::Publish(const EventPtr& event) {
  {
    const std::lock_guard lock(mutex_);
    for (Subscription* subscription : subscriptions_) Enqueue(subscription, event);
  }
  changed_.notify_all();
}

void EventHub::PublishLoss(const char* cause, const policy::ObjectName& workload, const char* type,
                           std::uint64_t count) {
  Publish(MakeLoss(cause, workload, count, type));
}

void EventHub::Close() {
  {
    const std::lock_guard lock(mutex_);
    closed_ = true;
  }
  changed_.notify_all();
}

std::size_t EventHub::subscribers() const {
  const std::lock_guard lock(mutex_);
  return subscriptions_.size();
}

bool EventHub::closed() const {
  const std::lock_guard lock(mutex_);
  return closed_;
}

std::uint64_t EventHub::lost() const {
  const std::lock_guard lock(mutex_);
  return lost_;
}

}  // namespace sluice::telemetry
