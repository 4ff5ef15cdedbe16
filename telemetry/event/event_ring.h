// The newest entries of a stream, each with a number that only grows. The writer never waits; a reader that is too slow
// sees by the numbers what it has missed. When it is full, the owner with the most entries loses its oldest, so that a
// flood of one workload does not push out the others' entries. Thread-safe.
//   ring.Push(entry, bytes, owner);
//   const auto batch = ring.Read(next, 256);
#pragma once

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <iterator>
#include <map>
#include <mutex>
#include <utility>
#include <vector>

#include "policy/resource/model.h"

namespace sluice::telemetry {

struct EventRingLimits {
  std::size_t max_entries = 4095;
  std::size_t max_bytes = 32U << 20;
};

template <typename Entry>
class EventRing {
 public:
  struct Batch {
    std::vector<std::pair<std::uint64_t, Entry>> entries;  // by number; numbers that are missing have gone
    std::uint64_t next = 0;                                // where to read on
  };

  explicit EventRing(EventRingLimits limits) : limits_(limits) {}

  // `bytes`: the memory that goes with the entry.
  void Push(Entry entry, std::size_t bytes, const policy::ObjectName& owner = {}) {
    {
      const std::lock_guard lock(mutex_);
      const auto share = shares_.try_emplace(owner).first;
      items_.emplace_hint(items_.end(), end_, Item{std::move(entry), bytes, share});
      share->second.numbers.push_back(end_++);
      share->second.bytes += bytes;
      bytes_ += bytes;
      while (items_.size() > 1 && (items_.size() > limits_.max_entries || bytes_ > limits_.max_bytes)) Evict();
    }
    changed_.notify_all();
  }

  // The owner with the most bytes loses its oldest entry, unless that is the newest of all.
  void GiveUpOne() {
    const std::lock_guard lock(mutex_);
    if (items_.size() > 1) Evict();
  }

  // At most `most` entries, from `from` on and before `end`.
  Batch Read(std::uint64_t from, std::size_t most, std::uint64_t end = UINT64_MAX) const {
    const std::lock_guard lock(mutex_);
    Batch batch{.entries = {}, .next = std::max(from, std::min(end, end_))};
    for (auto item = items_.lower_bound(from); item != items_.end() && item->first < end; ++item) {
      if (batch.entries.size() == most) {
        batch.next = batch.entries.back().first + 1;
        break;
      }
      batch.entries.emplace_back(item->first, item->second.entry);
    }
    return batch;
  }
  // The last `most` entries before `end`, by number.
  std::vector<std::pair<std::uint64_t, Entry>> ReadBack(std::uint64_t end, std::size_t most) const {
    const std::lock_guard lock(mutex_);
    std::vector<std::pair<std::uint64_t, Entry>> entries;
    for (auto item = items_.lower_bound(end); item != items_.begin() && entries.size() < most;) {
      --item;
      entries.emplace_back(item->first, item->second.entry);
    }
    std::reverse(entries.begin(), entries.end());
    return entries;
  }
  // How many there are from `from` on and before `end`.
  std::uint64_t Count(std::uint64_t from, std::uint64_t end) const {
    const std::lock_guard lock(mutex_);
    if (from >= end) return 0;
    return static_cast<std::uint64_t>(std::distance(items_.lower_bound(from), items_.lower_bound(end)));
  }

  // Until there is an entry at or behind `number`, or the ring is closed.
  void Wait(std::uint64_t number, std::chrono::milliseconds timeout) const {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, timeout, [&] { return end_ > number || closed_; });
  }

  // Ends every Wait.
  void Close() {
    {
      const std::lock_guard lock(mutex_);
      closed_ = true;
    }
    changed_.notify_all();
  }

  std::uint64_t end() const {  // one more than the number of the newest entry
    const std::lock_guard lock(mutex_);
    return end_;
  }
  std::size_t size() const {
    const std::lock_guard lock(mutex_);
    return items_.size();
  }
  bool closed() const {
    const std::lock_guard lock(mutex_);
    return closed_;
  }
  std::size_t capacity() const { return limits_.max_entries; }

 private:
  struct Share {
    std::deque<std::uint64_t> numbers;
    std::size_t bytes = 0;
  };
  using Shares = std::map<policy::ObjectName, Share>;
  struct Item {
    Entry entry;
    std::size_t bytes;
    typename Shares::iterator share;
  };

  // The newest entry stays, whatever its size.
  void Evict() {
    const bool by_bytes = items_.size() <= limits_.max_entries;
    auto share = std::max_element(shares_.begin(), shares_.end(), [&](const auto& a, const auto& b) {
      return by_bytes ? a.second.bytes < b.second.bytes : a.second.numbers.size() < b.second.numbers.size();
    });
    auto item = items_.find(share->second.numbers.front());
    if (item->first + 1 == end_) item = items_.begin();
    share = item->second.share;
    bytes_ -= item->second.bytes;
    share->second.bytes -= item->second.bytes;
    share->second.numbers.pop_front();
    items_.erase(item);
    if (share->second.numbers.empty()) shares_.erase(share);
  }

  const EventRingLimits limits_;
  mutable std::mutex mutex_;
  mutable std::condition_variable changed_;
  std::map<std::uint64_t, Item> items_;  // by number
  Shares shares_;                        // none is empty
  std::uint64_t end_ = 0;
  std::size_t bytes_ = 0;
  bool closed_ = false;
};

}  // namespace sluice::telemetry
