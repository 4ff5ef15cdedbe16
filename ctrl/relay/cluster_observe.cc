#include "ctrl/relay/cluster_observe.h"

#include <google/protobuf/util/time_util.h>

#include <algorithm>

#include "telemetry/event/event_time.h"

namespace sluice::cluster {
namespace {

using namespace std::chrono_literals;

// How often the reader is looked after while no event comes.
constexpr auto kLookAtReader = 100ms;
constexpr auto kFirstPause = 250ms;
constexpr auto kLongestPause = 5000ms;
constexpr std::size_t kBatch = 256;
constexpr std::size_t kLeastBytes = 64U << 10;  // of one node's part of the inbox
constexpr std::size_t kMostBytes = 1U << 20;
constexpr std::uint64_t kSpare = 100;  // a stream may also say what it lost

google::protobuf::Timestamp Now() { return google::protobuf::util::TimeUtil::NanosecondsToTimestamp(NowNs()); }

bool HasPast(const v1::ObserveRequest& request) {
  return !request.follow() || request.last() != 0 || request.has_since();
}

EventMerge::Options MergeOptions(const v1::ObserveRequest& request, const ObserveLimits& limits) {
  const auto ns = [](std::chrono::milliseconds time) { return std::chrono::nanoseconds(time).count(); };
  return {.hold_ns = ns(limits.hold),
          .stall_ns = ns(request.follow() ? limits.hold : limits.stall),
          .past = HasPast(request)};
}

std::string ProblemOf(const grpc::Status& status) {
  if (status.ok()) return "its agent ended the stream";
  if (!status.error_message().empty()) return Harmless(status.error_message());
  return fmt::format("gRPC's error {}", static_cast<int>(status.error_code()));
}

}  // namespace

ClusterObserve::ClusterObserve(const Nodes* nodes, v1::ObserveRequest request, const ObserveLimits& limits,
                               std::string name, Reader reader)
    : nodes_(nodes),
      request_(std::move(request)),
      limits_(limits),
      name_(std::move(name)),
      reader_(std::move(reader)),
      inbox_(std::make_unique<Inbox>(MergeOptions(request_, limits))),
      trims_(request_.last() != 0) {}

// Calls that are cancelled end at once.
ClusterObserve::~ClusterObserve() {
  std::unique_lock lock(inbox_->mutex);
  for (const EventStreamPtr& stream : inbox_->open) stream->Cancel();
  inbox_->changed.wait(lock, [this] { return inbox_->open.empty(); });
}

void ClusterObserve::FreeStreams() {
  std::vector<EventStreamPtr> closed;
  const std::lock_guard lock(inbox_->mutex);
  closed.swap(inbox_->closed);
}

Status ClusterObserve::Run() {
  FollowNodes();
  while (!gone_ && !reader_.is_over()) {
    if (request_.follow()) FollowNodes();
    const bool ended = FollowStreams();
    const bool passed = PassOn();
    if (gone_ || IsDone()) break;
    if (!ended && !passed) Wait();
  }
  EndPast();
  return OkStatus();
}

// Opens streams to nodes that answer. Tells of those that do not, and of those that are no more.
void ClusterObserve::FollowNodes() {
  const bool is_first = nodes_seen_ == 0;
  const std::uint64_t version = nodes_->WaitForChange(0, 0ms);
  const bool changed = std::exchange(nodes_seen_, version) != version;
  if (changed) {
    const std::vector<NodePtr> all = nodes_->all();
    for (const NodePtr& node : all) {
      Heard& heard = heard_[node->given()];
      if (heard.node != node && heard.stream) {
        const std::lock_guard lock(inbox_->mutex);
        heard.stream->Cancel();
      }
      if (heard.node != node) heard = {.node = node};
    }
    for (auto it = heard_.begin(); it != heard_.end();) {
      const bool stays =
          std::any_of(all.begin(), all.end(), [&](const NodePtr& node) { return node == it->second.node; });
      if (stays) {
        ++it;
        continue;
      }
      if (it->second.stream) {
        const std::lock_guard lock(inbox_->mutex);
        it->second.stream->Cancel();
        inbox_->merge.End(it->second.stream->source());
        sources_.erase(it->second.stream->source());
      }
      Tell(*it->second.node, NodeState::REMOVED, "");
      it = heard_.erase(it);
    }
  }
  const auto now = Clock::now();
  for (auto& [address, heard] : heard_) {
    if (heard.stream || heard.done) continue;
    const NodeStatus status = heard.node->status();
    if (status.state() == NodeStatus::CONNECTED) {
      if (now >= heard.again) Open(heard, !is_first);
    } else if (!std::exchange(heard.missing, true)) {
      Tell(*heard.node, NodeState::MISSING, status.problem());
    }
  }
}

// `again`: not at the begin of the reading, so that only what happens from now on is new.
void ClusterObserve::Open(Heard& heard, bool again) {
  v1::ObserveRequest request = request_;
  if (again) {
    request.set_last(0);
    request.clear_since();
  }
  EventStream::Limits limits;
  limits.bytes = std::clamp(limits_.inbox_bytes / std::max<std::size_t>(heard_.size(), 1), kLeastBytes, kMostBytes);
  if (!request.follow()) limits.most = kSpare + (request.last() != 0 ? request.last() : limits_.most_of_one);
  heard.stream = EventStream::Start(heard.node, request, ++last_source_, limits, inbox_.get());
  sources_[last_source_] = heard.stream;
}

// Notices streams that have begun or ended. True: one has ended.
bool ClusterObserve::FollowStreams() {
  FreeStreams();
  bool any = false;
  for (auto& [address, heard] : heard_) {
    if (!heard.stream) continue;
    std::unique_lock lock(inbox_->mutex);
    const bool begun = heard.stream->has_begun();
    const bool over = heard.stream->has_ended() && inbox_->merge.is_over(heard.stream->source());
    const grpc::Status end = heard.stream->end();
    lock.unlock();
    if (begun && !over) {
      heard.pause = 0ms;
      if (std::exchange(heard.missing, false)) Tell(*heard.node, NodeState::CONNECTED, "");
    }
    if (!over) continue;
    any = true;
    EndStream(heard, end);
  }
  return any;
}

void ClusterObserve::EndStream(Heard& heard, const grpc::Status& status) {
  sources_.erase(heard.stream->source());
  heard.stream.reset();
  // A stream with an end: `until`, or all that there was.
  if (status.ok() && (!request_.follow() || request_.has_until())) {
    heard.done = true;
    return;
  }
  heard.done = !request_.follow();
  heard.pause = std::clamp<std::chrono::milliseconds>(heard.pause * 2, kFirstPause, kLongestPause);
  heard.again = Clock::now() + heard.pause;
  if (!std::exchange(heard.missing, true)) Tell(*heard.node, NodeState::MISSING, ProblemOf(status));
}

// False: the past is over with them. With the inbox's mutex held.
bool ClusterObserve::TakeReady(std::vector<EventMerge::Merged>* ready) {
  EventMerge& merge = inbox_->merge;
  const std::int64_t now = NowNs();
  while (ready->size() < kBatch) {
    auto next = merge.Next(now);
    if (!next) break;
    if (const auto found = sources_.find(next->source); found != sources_.end()) found->second->Resume();
    ready->push_back(*std::move(next));
  }
  if (!request_.follow() || !merge.is_past()) return true;
  // What comes after all events from before the begin is no past event.
  const bool reached = !ready->empty() && telemetry::NanosecondsOf(telemetry::TimeOf(ready->back().event)) >= begun_ns_;
  if (!reached && !merge.IsQuiet(now) && Clock::now() - begun_ < limits_.opening) return true;
  merge.GoLive(now);
  return false;
}

bool ClusterObserve::PassOn() {
  std::vector<EventMerge::Merged> ready;
  std::unique_lock lock(inbox_->mutex);
  const bool still = TakeReady(&ready);
  lock.unlock();
  for (const EventMerge::Merged& merged : ready) {
    if (gone_) return true;
    Deliver(merged);
  }
  if (!still) EndPast();
  return !ready.empty();
}

void ClusterObserve::Deliver(const EventMerge::Merged& merged) {
  if (const auto found = sources_.find(merged.source); found != sources_.end()) {
    Node::Counts& counts = found->second->node()->counts();
    ++counts.events;
    if (merged.late) ++counts.late;
  }
  const bool is_past = !request_.follow() || telemetry::NanosecondsOf(telemetry::TimeOf(merged.event)) < begun_ns_;
  if (trims_ && !past_over_ && is_past) return HoldBack(merged.event);
  if (trims_ && !past_over_ && request_.follow()) EndPast();
  Consume(merged.event);
}

// Only the newest ones of the past are wanted, and newer ones may come.
void ClusterObserve::HoldBack(v1::Event event) {
  held_bytes_ += event.ByteSizeLong();
  held_.push_back(std::move(event));
  while (held_.size() > request_.last() || held_.size() > limits_.past_events || held_bytes_ > limits_.past_bytes) {
    if (held_.size() <= request_.last()) ++held_lost_;
    held_bytes_ -= held_.front().ByteSizeLong();
    held_.pop_front();
  }
}

void ClusterObserve::EndPast() {
  if (std::exchange(past_over_, true)) return;
  if (held_lost_ != 0) {
    v1::Event event;
    v1::Lost& lost = *event.mutable_lost();
    *lost.mutable_time() = Now();
    lost.set_node(name_);
    lost.set_type("lost");
    lost.set_cause("RELAY_BUFFER_FULL");
    lost.set_count(held_lost_);
    Consume(event);
  }
  for (const v1::Event& event : held_) Consume(event);
  held_.clear();
  held_bytes_ = 0;
}

// All has been passed on that was asked for. A node that is silent for too long is reported.
bool ClusterObserve::IsDone() {
  const bool all_done = std::all_of(heard_.begin(), heard_.end(), [](const auto& one) {
    return one.second.done || (one.second.stream == nullptr && one.second.missing);
  });
  if (request_.follow()) {
    const bool is_over = request_.has_until() && NowNs() > telemetry::NanosecondsOf(request_.until());
    return is_over && all_done;
  }
  if (all_done) return true;
  std::unique_lock lock(inbox_->mutex);
  if (!inbox_->merge.IsQuiet(NowNs())) return false;
  // One that has ended since FollowStreams looked did answer.
  for (const auto& [address, heard] : heard_) {
    if (heard.stream && heard.stream->has_ended()) return false;
  }
  lock.unlock();
  for (auto& [address, heard] : heard_) {
    if (!heard.stream || heard.done) continue;
    Tell(*heard.node, NodeState::MISSING,
         fmt::format("it sent nothing for {} s", static_cast<double>(limits_.stall.count()) / 1000));
  }
  return true;
}

void ClusterObserve::Wait() {
  std::unique_lock lock(inbox_->mutex);
  std::chrono::nanoseconds limit = kLookAtReader;
  if (const auto at = inbox_->merge.NextAt()) limit = std::min(limit, std::chrono::nanoseconds(*at - NowNs()));
  // A millisecond at least: several nodes may have to send something.
  inbox_->changed.wait_for(lock, std::max<std::chrono::nanoseconds>(limit, 1ms));
}

void ClusterObserve::Tell(const Node& node, NodeState::State state, const std::string& problem) {
  NodeState told;
  *told.mutable_time() = Now();
  told.set_node(node.name());
  told.set_type("node");
  told.set_state(state);
  told.set_address(node.address());
  told.set_problem(problem);
  if (!gone_ && !reader_.tell(told)) gone_ = true;
}

void ClusterObserve::Consume(const v1::Event& event) {
  if (!gone_ && !reader_.consume(event)) gone_ = true;
}

}  // namespace sluice::cluster
