#include "ctrl/kube/writer.h"

#include <algorithm>
#include <utility>

#include "base/log.h"
#include "ctrl/kube/api_json.h"
#include "ctrl/kube/retry_after.h"

namespace sluice::kube {
namespace {

// As client-go: Events one a second in the long run, everything else five.
constexpr double kEventRate = 1;
constexpr double kEventBurst = 25;
constexpr double kOtherRate = 5;
constexpr double kOtherBurst = 10;

constexpr std::size_t kMaxAnswer = 64U << 10U;  // the rest is not read for errors

absl::StatusCode CodeOf(int http) {
  switch (http) {
    case 401:
      return absl::StatusCode::kUnauthenticated;
    case 403:
      return absl::StatusCode::kPermissionDenied;
    case 404:
      return absl::StatusCode::kNotFound;
    case 409:
      return absl::StatusCode::kAborted;
    case 429:
      return absl::StatusCode::kResourceExhausted;
    default:
      return http >= 500 ? absl::StatusCode::kUnavailable : absl::StatusCode::kInvalidArgument;
  }
}

}  // namespace

class Writer::Exchange final : public HttpHandler {
 public:
  Exchange(Writer& owner, Waiting what) : waiting(std::move(what)), writer(owner) {}
  void OnHead(const HttpHead& got) override { head = got; }
  bool OnBody(std::string_view data) override {
    body.append(data.substr(0, kMaxAnswer - std::min(kMaxAnswer, body.size())));
    return true;
  }
  void OnEnd(const Status& status) override { writer.End(*this, status); }

  Waiting waiting;
  Writer& writer;
  std::uint64_t id = 0;
  HttpHead head;
  std::string body;
};

Writer::Writer(const ClientOptions& options, const Environment& environment, Transport& transport,
               simdjson::dom::parser& parser)
    : options_(options), environment_(environment), transport_(transport), parser_(parser) {
  const TimePoint now = environment.now();
  buckets_.emplace(kEvents, TokenBucket(kEventRate, kEventBurst, now));
  buckets_.emplace(kOthers, TokenBucket(kOtherRate, kOtherBurst, now));
}

Writer::~Writer() {
  const Status cancelled = MakeError(absl::StatusCode::kCancelled, "the client ends");
  for (const auto& [id, exchange] : running_) {
    transport_.Cancel(id);
    if (exchange->waiting.write.done) exchange->waiting.write.done(cancelled);
  }
  for (const auto& queue : queues_) {
    for (const Waiting& waiting : queue) {
      if (waiting.write.done) waiting.write.done(cancelled);
    }
  }
}

Writer::Class Writer::ClassOf(const Write& write) {
  const std::string path = write.path.substr(0, write.path.find('?'));
  return write.method == "POST" && path.ends_with("/events") ? kEvents : kOthers;
}

void Writer::Send(Write write) {
  std::function<void(const Status&)> dropped;
  {
    const std::lock_guard lock(mutex_);
    std::deque<Waiting>& queue = queues_[ClassOf(write)];
    queue.push_back({.write = std::move(write), .due = TimePoint::min()});
    if (queue.size() > options_.limits.queued_writes) {
      dropped = std::move(queue.front().write.done);
      queue.pop_front();
      ++state_.dropped;
    }
  }
  if (dropped) dropped(MakeError(absl::StatusCode::kResourceExhausted, "the queue of writes was full"));
}

void Writer::Tick() {
  ended_.clear();
  const TimePoint now = environment_.now();
  for (const Class kind : {kOthers, kEvents}) {
    while (running_.size() < options_.limits.running_writes) {
      Waiting next;
      {
        const std::lock_guard lock(mutex_);
        std::deque<Waiting>& queue = queues_[kind];
        const auto due = std::find_if(queue.begin(), queue.end(), [&](const Waiting& w) { return w.due <= now; });
        if (due == queue.end() || !buckets_.at(kind).Take(now)) break;
        next = std::move(*due);
        queue.erase(due);
        ++state_.requests;
      }
      auto exchange = std::make_unique<Exchange>(*this, std::move(next));
      const Write& write = exchange->waiting.write;
      exchange->id = transport_.Start({.method = write.method,
                                       .path = write.path,
                                       .content_type = write.content_type,
                                       .body = write.body,
                                       .timeout = options_.timing.write_timeout},
                                      exchange.get());
      running_[exchange->id] = std::move(exchange);
    }
  }
}

TimePoint Writer::NextTick() {
  const TimePoint now = environment_.now();
  TimePoint next = TimePoint::max();
  if (!ended_.empty()) return now;
  if (running_.size() >= options_.limits.running_writes) return next;
  const std::lock_guard lock(mutex_);
  for (const Class kind : {kOthers, kEvents}) {
    for (const Waiting& waiting : queues_[kind]) {
      next = std::min(next, std::max(waiting.due, buckets_.at(kind).Next(now)));
    }
  }
  return next;
}

WriteState Writer::state() const {
  const std::lock_guard lock(mutex_);
  WriteState state = state_;
  for (const auto& queue : queues_) state.queued += queue.size();
  return state;
}

void Writer::End(Exchange& exchange, const Status& status) {
  const auto found = running_.find(exchange.id);
  ended_.push_back(std::move(found->second));
  running_.erase(found);

  Waiting& waiting = exchange.waiting;
  const int code = exchange.head.code;
  Status result = status;
  bool may_retry = !status.ok();
  std::chrono::seconds wait(0);
  const bool is_there = code == 409 && waiting.write.ok_if_there;
  if (status.ok() && (code < 200 || code > 299) && !is_there) {
    const ApiStatus answer = ReadApiStatusText(parser_, exchange.body);
    result = MakeError(CodeOf(code), "{} {}", code, answer.ToString());
    // A new token is worth a try; a conflict or a refusal stays what it is.
    may_retry = code == 429 || code >= 500 || (code == 401 && transport_.RereadCredentials());
    wait = ParseRetryAfter(exchange.head.retry_after, environment_.wall())
               .value_or(std::chrono::seconds(answer.retry_after_seconds));
    wait = std::min(wait, std::chrono::duration_cast<std::chrono::seconds>(options_.timing.retry_after_max));
  }
  {
    const std::lock_guard lock(mutex_);
    if (!result.ok()) {
      state_.last_error = fmt::format("{} {}: {}", waiting.write.method, waiting.write.path, Message(result));
      state_.last_error_at = environment_.wall();
    }
    if (may_retry && ++waiting.tries < options_.limits.write_tries) {
      const Timing& timing = options_.timing;
      const auto backoff = std::min(timing.backoff_last, timing.backoff_first * (1 << waiting.tries));
      waiting.due =
          environment_.now() + std::max<Timing::Duration>(
                                   std::chrono::duration_cast<Timing::Duration>(backoff * environment_.random()), wait);
      queues_[ClassOf(waiting.write)].push_front(std::move(waiting));
      return;
    }
    ++(result.ok() ? state_.succeeded : state_.failed);
  }
  if (!result.ok()) LogWarn("kubernetes: {} {}: {}", waiting.write.method, waiting.write.path, Message(result));
  if (waiting.write.done) waiting.write.done(result);
}

}  // namespace sluice::kube
