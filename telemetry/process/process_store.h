// Process instances by id and by pid, in bounded memory. When it is full, the workload with the most instances loses
// one, so that a flood of one workload does not push out the others'. Instances that have descendants stay longest.
//
// ProcessTree, which owns this, interprets the records. Not thread-safe.
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
    std::size_t max_instances = 65536;  // about half a KiB each, without images
    // For images: binaries, arguments, directories. The first half is for all; after that, a share may use at most half
    // of the limit divided by the number of shares. Arguments may use only three quarters of both.
    std::size_t max_image_bytes = 64U << 20;
    // The share that an instance belongs to; must not call the tree. Empty: one share for all.
    std::function<policy::ObjectName(const ProcessInstance&)> owner;
    // How long an ended instance without descendants is kept: its closing flows may stay in the flow table that long.
    std::uint64_t grace_ns = 240'000'000'000;
  };
  struct Stats {
    std::size_t instances = 0;
    std::size_t image_bytes = 0;
    std::uint64_t evicted = 0;         // ended instances that were removed early to make room
    std::uint64_t refused = 0;         // living instances that were not kept, because the largest share is all alive
    std::uint64_t arguments_left = 0;  // execs whose arguments were left out, because there was no room
  };

  using Ended = std::set<std::pair<std::uint64_t, sl_process_id>>;  // by end time
  struct Share {
    std::set<sl_process_id> living;
    Ended unreferenced;
    Ended referenced;
    // The size of images that its processes loaded, even if only other shares still use them.
    std::shared_ptr<std::atomic<std::size_t>> image_bytes = std::make_shared<std::atomic<std::size_t>>(0);

    std::size_t size() const { return living.size() + unreferenced.size() + referenced.size(); }
  };
  using Shares = std::map<policy::ObjectName, Share>;
  struct Entry {
    ProcessInstance instance;
    Shares::iterator share;
    std::uint64_t seen = 0;  // for ProcessTree: the last seeding that reported it
  };
  using Entries = std::map<sl_process_id, Entry>;  // ids grow with time

  explicit ProcessStore(Options options) : options_(std::move(options)) {}

  policy::ObjectName OwnerOf(const ProcessInstance& instance) const;

  // Null: no room.
  Entry* Add(ProcessInstance instance, const policy::ObjectName& owner);
  Entry* Find(sl_process_id id);
  Entry* FindByPid(std::uint32_t pid);  // the living one
  const ProcessInstance* FindInstance(sl_process_id id) const;
  const ProcessInstance* FindLifeByPid(std::uint32_t pid) const;  // the living one
  const Entries& entries() const { return instances_; }

  void SetAncestors(Entry& entry, sl_process_id parent, sl_process_id previous);
  void End(Entry& entry, std::uint64_t end_ns, std::optional<std::uint32_t> wait_status);
  void EndIf(const std::function<bool(const Entry&)>& is_over, std::uint64_t end_ns);  // living ones only
  // Moves the entry to its workload's share: workloads become known after their processes, and a process may move to
  // another one. False: nothing changed.
  bool MoveToItsOwner(Entry& entry);

  // The image for an instance of `share`. When room is scarce: without arguments (`has_lost_arguments`), or null.
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
  std::unordered_map<std::uint32_t, sl_process_id> by_pid_;    // living ones
  std::unordered_map<sl_process_id, std::size_t> references_;  // number of instances with it as parent or previous
  Shares shares_;                                              // Expire removes empty ones
  std::shared_ptr<std::atomic<std::size_t>> image_bytes_ = std::make_shared<std::atomic<std::size_t>>(0);
  Stats stats_;
};

}  // namespace sluice::telemetry
