// Process lives by id and by pid, made of the sensors' records: those that live, those that ended a short while ago,
// and those that a known one descends from. Memory is bounded; what does not fit is absent, never wrong. When there are
// too many, whoever has the most of them gives one up, so that a flood of one workload's takes no other's.
//
// Records of one process come in their order (one ring), but the iterator's may come late: a life that has ended stays
// so. Thread-safe. Results are copies.
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <mutex>
#include <set>
#include <unordered_map>

#include "policy/resource/model.h"
#include "telemetry/process/process_life.h"
#include "telemetry/process/process_record.h"

namespace sluice::telemetry {

class ProcessTree {
 public:
  struct Options {
    std::size_t max_lives = 65536;  // about half a KiB each, beside:
    // Binaries, arguments, directories. While half of it is free, anybody's; then of whoever has less than half of it
    // divided by those who have processes. Arguments leave a quarter of each.
    std::size_t max_image_bytes = 64U << 20;
    // Whose share a life takes; must not call the tree. Empty: one share for all.
    std::function<policy::ObjectName(const ProcessLife&)> owner;
    // How long an ended life is kept that nobody descends from: longer than its flows are in conntrack.
    std::uint64_t grace_ns = 240'000'000'000;
  };
  struct Stats {
    std::size_t lives = 0;
    std::size_t image_bytes = 0;
    std::uint64_t evicted = 0;         // ended lives that went before their time, for want of room
    std::uint64_t refused = 0;         // not kept, or not any more: whose share is full of those that live
    std::uint64_t arguments_left = 0;  // execs whose arguments were left out, for want of room
  };

  explicit ProcessTree(Options options) : options_(std::move(options)) {}
  ProcessTree() : ProcessTree(Options()) {}

  // The life as it is after the record; nothing when the record tells nothing: an end that was known.
  std::optional<ProcessLife> Apply(const ProcessRecord& record);

  std::optional<ProcessLife> Find(sl_process_id id) const;
  std::optional<ProcessLife> FindByPid(std::uint32_t pid) const;  // the one that lives now
  // Nearest first: the programs that this process ran before, then the life that forked it, and so on. A program that
  // executed itself is there once. `cut`: there are more, or some are not known.
  std::vector<ProcessLife> Ancestors(sl_process_id id, std::size_t max = 32, bool* cut = nullptr) const;
  // The nearest ancestor that lives: it, or what it has executed since.
  std::optional<std::uint32_t> LivingParent(sl_process_id id) const;
  std::vector<ProcessLife> Living() const;  // by id

  // Between these two calls every living process is told of, by seed or by event; what has changed of it without an
  // event (credentials, namespaces, cgroup) is known then. At the end, lives that began before
  // and were not told of have ended unseen. `complete` false: some may have been lost, nothing is concluded.
  void BeginSeed(std::uint64_t now_ns);
  void EndSeed(std::uint64_t now_ns, bool complete);

  // The life of the host's first process, which some hosts keep to themselves. It has no ancestors.
  void SetFirst(sl_process_id id);

  void Expire(std::uint64_t now_ns);
  Stats stats() const;

 private:
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
    ProcessLife life;
    Shares::iterator share;
    std::uint64_t seen = 0;  // the last seeding that it was told of in
  };
  using Entries = std::map<sl_process_id, Entry>;  // ids grow with time

  std::optional<ProcessLife> ApplyExit(const ProcessRecord& record);
  policy::ObjectName OwnerOf(const ProcessLife& life) const;
  policy::ObjectName OwnerOf(const ProcessRecord& record);
  Entry* Add(ProcessLife life, const policy::ObjectName& owner);
  void EnterShare(Entry& entry, const policy::ObjectName& owner);
  void LeaveShare(Entry& entry);
  bool MoveToItsOwner(Entry& entry);
  Entry* FindEntry(sl_process_id id);
  Entry* FindByBirth(const sl_process_header& header);
  const ProcessLife* FindLife(sl_process_id id) const;
  const ProcessLife* FindParent(const ProcessLife& life, bool* known) const;
  void Refer(sl_process_id id, int by);
  void SetAncestors(Entry& entry, sl_process_id parent, sl_process_id previous);
  void End(Entry& entry, std::uint64_t end_ns, std::optional<std::uint32_t> wait_status);
  void EndPrevious(const ProcessRecord& record);
  void EndOlder(const sl_process_header& header);
  static void Fill(ProcessLife& life, const ProcessRecord& record);
  static void FillChangeable(ProcessLife& life, const ProcessRecord& record);
  void FillImage(ProcessLife& life, const ProcessRecord& record, const Share* share);
  bool HasRoom(const Share* share, std::size_t bytes, std::size_t of) const;
  void Remove(sl_process_id id);
  bool MakeRoom(const policy::ObjectName& owner, bool living);

  const Options options_;
  mutable std::mutex mutex_;
  Entries lives_;
  std::unordered_map<std::uint32_t, sl_process_id> by_pid_;    // those that live
  std::unordered_map<sl_process_id, std::size_t> references_;  // by lives that have it as parent or previous
  Shares shares_;                                              // empty ones go with the next Expire
  sl_process_id first_ = 0;
  std::uint64_t seeding_ = 0;  // number of the present seeding, or the last
  std::uint64_t seed_began_ns_ = 0;
  std::shared_ptr<std::atomic<std::size_t>> image_bytes_ = std::make_shared<std::atomic<std::size_t>>(0);
  Stats stats_;
};

}  // namespace sluice::telemetry
