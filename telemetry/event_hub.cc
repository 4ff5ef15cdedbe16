#include "telemetry/event_hub.h"

#include "telemetry/event_filter.h"

namespace sluice::telemetry {
namespace {

constexpr char kQueueFull[] = "SUBSCRIBER_QUEUE_FULL";

}  // namespace

Subscription::~Subscription() { hub_->Unsubscribe(this); }

EventPtr Subscription::Next(std::chrono::milliseconds timeout) {
  std::unique_lock lock(hub_->mutex_);
  hub_->changed_.wait_for(lock, timeout, [&] { return !queue_.empty() || lost_ != 0 || hub_->closed_; });
  if (!queue_.empty()) {
    EventPtr event = std::move(queue_.front());
    queue_.pop_front();
    return event;
  }
  return lost_ == 0 ? nullptr : hub_->MakeLoss(kQueueFull, std::exchange(lost_, 0));
}

EventHub::EventHub(Options options, WatchSwitch on_watch)
    : options_(std::move(options)), on_watch_(std::move(on_watch)) {}

StatusOr<std::unique_ptr<Subscription>> EventHub::Subscribe(v1::ObserveRequest::Filter filter) {
  const std::lock_guard coming(switch_mutex_);
  std::unique_ptr<Subscription> subscription;
  bool first = false;
  {
    const std::lock_guard lock(mutex_);
    if (closed_) return MakeError(absl::StatusCode::kUnavailable, "the agent is stopping");
    if (subscriptions_.size() >= options_.max_subscribers) {
      return MakeError(absl::StatusCode::kResourceExhausted, "{} observers follow already: end one of them",
                       options_.max_subscribers);
    }
    subscription.reset(new Subscription(this, std::move(filter)));
    first = subscriptions_.empty();
    subscriptions_.insert(subscription.get());
  }
  if (first) on_watch_(true);
  return subscription;
}

void EventHub::Unsubscribe(Subscription* subscription) {
  const std::lock_guard going(switch_mutex_);
  bool last = false;
  {
    const std::lock_guard lock(mutex_);
    last = subscriptions_.erase(subscription) != 0 && subscriptions_.empty();
  }
  if (last) on_watch_(false);
}

EventPtr EventHub::MakeLoss(const char* cause, std::uint64_t count) const {
  const ClockReading now = options_.clock();
  auto event = std::make_shared<v1::Event>();
  v1::Lost& lost = *event->mutable_lost();
  *lost.mutable_time() = WallTime(now, now.monotonic_ns);
  lost.set_node(options_.node);
  lost.set_type("lost");
  lost.set_cause(cause);
  lost.set_count(count);
  return event;
}

void EventHub::Enqueue(Subscription* subscription, const EventPtr& event) {
  if (!Matches(subscription->filter_, *event)) return;
  if (subscription->queue_.size() >= options_.queue_capacity) {
    subscription->lost_ += event->has_lost() ? event->lost().count() : 1;
    lost_ += event->has_lost() ? 0 : 1;  // a source's losses are counted where they happened
    return;
  }
  if (subscription->lost_ != 0) {
    subscription->queue_.push_back(MakeLoss(kQueueFull, std::exchange(subscription->lost_, 0)));
  }
  subscription->queue_.push_back(event);
}

void EventHub::Publish(const EventPtr& event) {
  {
    const std::lock_guard lock(mutex_);
    for (Subscription* subscription : subscriptions_) Enqueue(subscription, event);
  }
  changed_.notify_all();
}

void EventHub::PublishLoss(const char* cause, std::uint64_t count) { Publish(MakeLoss(cause, count)); }

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
