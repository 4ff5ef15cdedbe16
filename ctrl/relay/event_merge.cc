#include "ctrl/relay/event_merge.h"

#include <algorithm>

#include "telemetry/event/event_time.h"

namespace sluice::cluster {

void EventMerge::Add(Source source, std::int64_t now_ns) { queues_[source].heard_ns = now_ns; }

void EventMerge::End(Source source) {
  const auto found = queues_.find(source);
  if (found == queues_.end()) return;
  found->second.ended = true;
  if (found->second.events.empty()) queues_.erase(found);
}

void EventMerge::Push(Source source, v1::Event event, std::int64_t now_ns) {
  const auto found = queues_.find(source);
  if (found == queues_.end() || found->second.ended) return;
  Queue& queue = found->second;
  std::int64_t key = telemetry::NanosecondsOf(telemetry::TimeOf(event));
  if (!past_) key = std::clamp(key, now_ns - options_.hold_ns, now_ns);
  key = std::max(key, queue.last_key);
  queue.last_key = key;
  queue.heard_ns = now_ns;
  const std::size_t bytes = event.ByteSizeLong();
  queue.bytes += bytes;
  if (queue.events.empty()) heads_.emplace(key, source);
  queue.events.push_back({std::move(event), key, bytes});
}

// Past events from the future would wait until then.
void EventMerge::GoLive(std::int64_t now_ns) {
  past_ = false;
  heads_.clear();
  for (auto& [source, queue] : queues_) {
    queue.last_key = std::min(queue.last_key, now_ns);
    for (Waiting& waiting : queue.events) waiting.key = std::min(waiting.key, now_ns);
    if (!queue.events.empty()) heads_.emplace(queue.events.front().key, source);
  }
}

// Whether an older event of this source may still come.
bool EventMerge::Blocks(const Queue& queue, std::int64_t now_ns) const {
  if (queue.ended || !queue.events.empty()) return false;
  return !past_ || now_ns - queue.heard_ns < options_.stall_ns;
}

bool EventMerge::IsLate(Source source, std::int64_t time) {
  const bool late = time < (source == youngest_source_ ? youngest_of_others_ : youngest_);
  if (time > youngest_) {
    if (source != youngest_source_) youngest_of_others_ = youngest_;
    youngest_ = time;
    youngest_source_ = source;
  } else if (source != youngest_source_) {
    youngest_of_others_ = std::max(youngest_of_others_, time);
  }
  return late;
}

std::optional<EventMerge::Merged> EventMerge::Next(std::int64_t now_ns, bool drain) {
  if (heads_.empty()) return std::nullopt;
  const auto [key, source] = *heads_.begin();
  const bool is_due = drain || (!past_ && key + options_.hold_ns <= now_ns);
  if (!is_due &&
      std::any_of(queues_.begin(), queues_.end(), [&](const auto& queue) { return Blocks(queue.second, now_ns); })) {
    return std::nullopt;
  }
  heads_.erase(heads_.begin());
  Queue& queue = queues_.at(source);
  Merged merged{.source = source, .event = std::move(queue.events.front().event)};
  queue.bytes -= queue.events.front().bytes;
  queue.events.pop_front();
  if (!queue.events.empty()) heads_.emplace(queue.events.front().key, source);
  if (queue.events.empty() && queue.ended) queues_.erase(source);
  merged.late = IsLate(source, telemetry::NanosecondsOf(telemetry::TimeOf(merged.event)));
  return merged;
}

std::optional<std::int64_t> EventMerge::NextAt() const {
  if (heads_.empty()) return std::nullopt;
  if (!past_) return heads_.begin()->first + options_.hold_ns;
  std::int64_t at = 0;  // nobody is waited for: long ago
  for (const auto& [source, queue] : queues_) {
    if (!queue.ended && queue.events.empty()) at = std::max(at, queue.heard_ns + options_.stall_ns);
  }
  return at;
}

std::size_t EventMerge::waiting(Source source) const {
  const auto found = queues_.find(source);
  return found == queues_.end() ? 0 : found->second.events.size();
}

std::size_t EventMerge::waiting_bytes(Source source) const {
  const auto found = queues_.find(source);
  return found == queues_.end() ? 0 : found->second.bytes;
}

bool EventMerge::is_over(Source source) const { return !queues_.contains(source); }

bool EventMerge::IsQuiet(std::int64_t now_ns) const {
  return heads_.empty() &&
         std::none_of(queues_.begin(), queues_.end(), [&](const auto& queue) { return Blocks(queue.second, now_ns); });
}

}  // namespace sluice::cluster
