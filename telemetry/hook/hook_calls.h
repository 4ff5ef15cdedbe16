// Joins the two records of a call: the one of its beginning waits for the one of its return. Records of other kinds
// pass at once. A record whose other half is lost or late is passed on alone. When too many wait, the subject with the
// most gives up its oldest, so that a flood of one workload costs only itself. Not thread-safe.
//   calls.Push(std::move(record), now_ns);
//   while (auto call = calls.Pop(now_ns)) ...
#pragma once

#include <deque>
#include <list>
#include <map>
#include <unordered_map>

#include "telemetry/hook/hook_record.h"

namespace sluice::telemetry {

struct HookCall {
  HookRecord record;                 // of a joined call: the beginning's, with the return's value
  bool returned = false;             // record.event.return_value is known
  std::uint32_t return_actions = 0;  // enum sl_hook_action
  bool held = false;                 // the kernel waited with the record for the return
  bool alone = false;                // half of a call: the other half was lost or more than `patience_ns` away
};

class HookCalls {
 public:
  struct Options {
    std::size_t max_waiting = 4096;
    std::size_t max_bytes = 8U << 20;
    std::uint64_t patience_ns = 1'000'000'000;
  };
  struct Counters {  // since the start
    std::uint64_t joined = 0;
    std::uint64_t calls_alone = 0;    // without a return in time
    std::uint64_t returns_alone = 0;  // without a known beginning
    std::uint64_t pushed_out = 0;     // of calls_alone, those that had to go early
  };

  explicit HookCalls(Options options) : options_(options) {}

  void Push(HookRecord record, std::uint64_t now_ns);
  // The next record that need not wait; nothing: all must.
  std::optional<HookCall> Pop(std::uint64_t now_ns);

  const Counters& counters() const { return counters_; }
  std::size_t ready() const { return ready_.size(); }  // what Pop returns at once
  std::size_t waiting() const { return waiting_.size(); }
  std::size_t waiting_bytes() const { return bytes_; }

 private:
  struct Key {
    std::uint64_t call;
    std::uint32_t hook;
    std::uint32_t life;
    auto operator<=>(const Key&) const = default;
  };
  struct Waiting {
    HookRecord record;
    std::uint64_t since_ns;
    std::size_t bytes;
    std::list<Key>::iterator in_order;
    std::list<Key>::iterator in_share;
  };
  struct Share {
    std::list<Key> keys;  // oldest first
    std::size_t bytes = 0;
  };
  using Table = std::map<Key, Waiting>;

  void Hold(HookRecord record, std::uint64_t now_ns);
  void Join(HookRecord end);
  void MakeRoom();
  void PassAlone(Table::iterator waiting);
  HookRecord Take(Table::iterator waiting);

  const Options options_;
  Table waiting_;
  std::unordered_map<std::uint32_t, Share> shares_;  // by subject; none is empty
  std::list<Key> order_;                             // oldest first
  std::size_t bytes_ = 0;                            // of waiting_
  std::deque<HookCall> ready_;
  Counters counters_;
};

}  // namespace sluice::telemetry
