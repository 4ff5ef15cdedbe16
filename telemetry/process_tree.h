// Process lives by id and by pid, made of the sensors' records: those that live, those that ended a short while ago,
// and those that a known one descends from. Memory is bounded; what does not fit is absent, never wrong.
//
// Records of one process come in their order (one ring), but the iterator's may come late: a life that has ended stays
// so. Thread-safe. Results are copies.
#pragma once

#include <atomic>
#include <map>
#include <mutex>
#include <set>
#include <unordered_map>

#include "telemetry/process_life.h"
#include "telemetry/process_record.h"

namespace sluice::telemetry {

class ProcessTree {
 public:
  struct Options {
    std::size_t max_lives = 65536;            // about half a KiB each, beside:
    std::size_t max_image_bytes = 64U << 20;  // binaries, arguments, directories
    // How long an ended life is kept that nobody descends from: longer than its flows are in conntrack.
    std::uint64_t grace_ns = 240'000'000'000;
  };
  struct Stats {
    std::size_t lives = 0;
    std::size_t image_bytes = 0;
    std::uint64_t evicted = 0;         // ended lives that went before their time, for want of room
    std::uint64_t refused = 0;         // not taken in: max_lives processes live
    std::uint64_t arguments_left = 0;  // execs whose arguments were left out, for want of room
  };

  explicit ProcessTree(Options options) : options_(options) {}
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
  struct Entry {
    ProcessLife life;
    std::uint64_t seen = 0;  // the last seeding that it was told of in
  };
  using Entries = std::map<sl_process_id, Entry>;  // ids grow with time

  std::optional<ProcessLife> ApplyExit(const ProcessRecord& record);
  Entry* Add(ProcessLife life);
  Entry* FindEntry(sl_process_id id);
  Entry* FindByBirth(const sl_process_header& header);
  const ProcessLife* FindLife(sl_process_id id) const;
  const ProcessLife* FindParent(const ProcessLife& life, bool* known) const;
  void Refer(sl_process_id id, int by);
  void SetAncestors(Entry& entry, sl_process_id parent, sl_process_id previous);
  void End(Entry& entry, std::uint64_t end_ns, std::optional<std::uint32_t> wait_status);
  void EndPrevious(const ProcessRecord& record);
  void EndOlder(const sl_process_header& header);
  void Fill(ProcessLife& life, const ProcessRecord& record);
  void FillImage(ProcessLife& life, const ProcessRecord& record);
  void FillChangeable(ProcessLife& life, const ProcessRecord& record);
  void Remove(sl_process_id id);
  bool MakeRoom();

  const Options options_;
  mutable std::mutex mutex_;
  Entries lives_;
  std::unordered_map<std::uint32_t, sl_process_id> by_pid_;    // those that live
  std::unordered_map<sl_process_id, std::size_t> references_;  // by lives that have it as parent or previous
  using Ended = std::set<std::pair<std::uint64_t, sl_process_id>>;
  Ended unreferenced_;  // ended lives by their end
  Ended referenced_;
  sl_process_id first_ = 0;
  std::uint64_t seeding_ = 0;  // number of the present seeding, or the last
  std::uint64_t seed_began_ns_ = 0;
  std::shared_ptr<std::atomic<std::size_t>> image_bytes_ = std::make_shared<std::atomic<std::size_t>>(0);
  Stats stats_;
};

}  // namespace sluice::telemetry
