// The process lives that are kept, by id and by pid, in bounded memory: whoever has the most of them gives one up when
// there are too many, so that a flood of one workload's takes no other's. Lives that others descend from stay longest.
//
// What records mean is ProcessTree's, which owns this. Not thread-safe.
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <unordered_map>
#include <utility>

#include "policy/resource/model.h"
#include "telemetry/process/process_instance.h"

namespace sluice::telemetry {

class ProcessStore {
 public:
  struct Options {
    std::size_t max_instances = 65536;  // about half a KiB each, beside:
    // Binaries, arguments, directories. While half of it is free, anybody's; then of whoever has less than half of it
    // divided by those who have processes. Arguments leave a quarter of each.
    std::size_t max_image_bytes = 64U << 20;
    // Whose share an instance takes; must not call the tree. Empty: one share for all.
    std::function<policy::ObjectName(const ProcessInstance&)> owner;
    // How long an ended instance is kept that nobody descends from: longer than its flows are in conntrack.
    std::uint64_t grace_ns = 240'000'000'000;
  };
  struct Stats {
    std::size_t instances = 0;
    std::size_t image_bytes = 0;
    std::uint64_t evicted = 0;         // ended instances that went before their time, for want of room
    std::uint64_t refused = 0;         // not kept, or not any more: whose share is full of those that live
    std::uint64_t arguments_left = 0;  // execs whose arguments were left out, for want of room
  };

  using Ended = std::set<std::pair<std::uint64_t, sl_process_id>>;  // by their end
  struct Share {
    std::set<sl_process_id> living;
    Ended unreferenced;
    Ended referenced;
    // Of images that its processes loaded, also while somebody else holds them.
    std::shared_ptr<std::atomic<std::size_t>> image_bytes = std::make_shared<std::atomic<std::size_t>>(0);

    std::size_t size() const { return living.size() + unreferenced.size() + referenced.size(); }
  };
  using Shares = std::map<policy::ObjectName, Share>;
  struct Entry {
    ProcessInstance instance;
    Shares::iterator share;
    std::uint64_t seen = 0;  // ProcessTree's: the last seeding that it was told of in
  };
  using Entries = std::map<sl_process_id, Entry>;  // ids grow with time

  explicit ProcessStore(Options options) : options_(std::move(options)) {}

  policy::ObjectName OwnerOf(const ProcessInstance& instance) const;

  // Null: there is no room for it.
  Entry* Add(ProcessInstance instance, const policy::ObjectName& owner);
  Entry* Find(sl_process_id id);
  Entry* FindByPid(std::uint32_t pid);  // the one that lives now
  const ProcessInstance* FindInstance(sl_process_id id) const;
  const ProcessInstance* FindLifeByPid(std::uint32_t pid) const;  // likewise
  const Entries& entries() const { return instances_; }

  void SetAncestors(Entry& entry, sl_process_id parent, sl_process_id previous);
  void End(Entry& entry, std::uint64_t end_ns, std::optional<std::uint32_t> wait_status);
  void EndIf(const std::function<bool(const Entry&)>& is_over, std::uint64_t end_ns);  // of those that live
  // Workloads become known after their processes, and a process may go elsewhere. False: it was there.
  bool MoveToItsOwner(Entry& entry);

  // The image as the instance of `share` may have it: where room is scarce without arguments (`has_lost_arguments`), or
  // null.
  std::shared_ptr<const ProcessImage> KeepImage(std::unique_ptr<ProcessImage> image, const Share& share,
                                                bool* has_lost_arguments);

  void Expire(std::uint64_t now_ns);
  Stats stats() const;

 private:
  void EnterShare(Entry& entry, const policy::ObjectName& owner);
  void LeaveShare(Entry& entry);
  void Refer(sl_process_id id, int by);
  bool HasRoom(const Share& share, std::size_t bytes, std::size_t of) const;
  void Remove(sl_process_id id);
  bool MakeRoom(const policy::ObjectName& owner, bool living);

  const Options options_;
  Entries instances_;
  std::unordered_map<std::uint32_t, sl_process_id> by_pid_;    // those that live
  std::unordered_map<sl_process_id, std::size_t> references_;  // by instances that have it as parent or previous
  Shares shares_;                                              // empty ones go with the next Expire
  std::shared_ptr<std::atomic<std::size_t>> image_bytes_ = std::make_shared<std::atomic<std::size_t>>(0);
  Stats stats_;
};

}  // namespace sluice::telemetry
