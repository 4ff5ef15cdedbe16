#include "telemetry/hook/hook_calls.h"

#include <algorithm>
#include <utility>

namespace sluice::telemetry {

void HookCalls::Push(HookRecord record, std::uint64_t now_ns) {
  const sl_hook_event& event = record.event;
  if (event.kind == SL_HOOK_EVENT_RETURN) {
    Join(std::move(record));
  } else if (event.kind == SL_HOOK_EVENT_ENTER && event.call != 0) {
    Hold(std::move(record), now_ns);
  } else {
    const bool held = event.kind == SL_HOOK_EVENT_WHOLE;
    ready_.push_back({.record = std::move(record), .returned = held, .held = held});
  }
}

void HookCalls::Hold(HookRecord record, std::uint64_t now_ns) {
  const sl_hook_event& event = record.event;
  const Key key{.call = event.call, .hook = event.hook, .life = event.life};
  // The kernel has used the number again: the earlier call has no return.
  if (const auto earlier = waiting_.find(key); earlier != waiting_.end()) PassAlone(earlier);
  Share& share = shares_[event.subject];
  const std::size_t bytes = record.bytes();
  share.bytes += bytes;
  bytes_ += bytes;
  const auto in_order = order_.insert(order_.end(), key), in_share = share.keys.insert(share.keys.end(), key);
  waiting_.emplace(
      key,
      Waiting{
          .record = std::move(record), .since_ns = now_ns, .bytes = bytes, .in_order = in_order, .in_share = in_share});
  MakeRoom();
}

void HookCalls::MakeRoom() {
  while (waiting_.size() > options_.max_waiting || bytes_ > options_.max_bytes) {
    const bool by_bytes = bytes_ > options_.max_bytes;
    const auto largest = std::max_element(shares_.begin(), shares_.end(), [&](const auto& a, const auto& b) {
      return by_bytes ? a.second.bytes < b.second.bytes : a.second.keys.size() < b.second.keys.size();
    });
    counters_.pushed_out++;
    PassAlone(waiting_.find(largest->second.keys.front()));
  }
}

void HookCalls::Join(HookRecord end) {
  const sl_hook_event& event = end.event;
  const auto begun = waiting_.find({.call = event.call, .hook = event.hook, .life = event.life});
  if (begun == waiting_.end()) {
    counters_.returns_alone++;
    const std::uint32_t actions = std::exchange(end.event.actions, 0);
    ready_.push_back({.record = std::move(end), .returned = true, .return_actions = actions, .alone = true});
    return;
  }
  HookRecord whole = Take(begun);
  // Arguments that the policy wants as they are at the return.
  for (std::size_t i = 0; i < end.arguments.size(); ++i) {
    if (!end.arguments[i].Is(SL_HOOK_VALUE_READ)) continue;
    if (i >= whole.arguments.size()) whole.arguments.resize(i + 1);
    whole.arguments[i] = std::move(end.arguments[i]);
  }
  whole.event.kind = SL_HOOK_EVENT_WHOLE;
  whole.event.return_value = event.return_value;
  if (whole.event.kernel_stack < 0) whole.event.kernel_stack = event.kernel_stack;
  if (whole.event.user_stack < 0) whole.event.user_stack = event.user_stack;
  counters_.joined++;
  ready_.push_back({.record = std::move(whole), .returned = true, .return_actions = event.actions});
}

void HookCalls::PassAlone(Table::iterator waiting) {
  counters_.calls_alone++;
  ready_.push_back({.record = Take(waiting), .alone = true});
}

HookRecord HookCalls::Take(Table::iterator waiting) {
  const auto share = shares_.find(waiting->second.record.event.subject);
  order_.erase(waiting->second.in_order);
  share->second.keys.erase(waiting->second.in_share);
  share->second.bytes -= waiting->second.bytes;
  if (share->second.keys.empty()) shares_.erase(share);
  bytes_ -= waiting->second.bytes;
  HookRecord record = std::move(waiting->second.record);
  waiting_.erase(waiting);
  return record;
}

std::optional<HookCall> HookCalls::Pop(std::uint64_t now_ns) {
  while (!order_.empty()) {
    const auto oldest = waiting_.find(order_.front());
    if (oldest->second.since_ns + options_.patience_ns > now_ns) break;
    PassAlone(oldest);
  }
  if (ready_.empty()) return std::nullopt;
  HookCall call = std::move(ready_.front());
  ready_.pop_front();
  return call;
}

}  // namespace sluice::telemetry
