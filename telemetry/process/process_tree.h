// Process instances by id and by pid, made of the sensors' records: those that live, those that ended a short while
// ago, and those that a known one descends from. Memory is bounded (ProcessStore); what does not fit is absent, never
// wrong.
//
// Records of one process come in their order (one ring), but the iterator's may come late: an instance that has ended
// stays so. Thread-safe. Results are copies.
#pragma once

#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include "telemetry/process/process_record.h"
#include "telemetry/process/process_store.h"

namespace sluice::telemetry {

class ProcessTree {
 public:
  using Options = ProcessStore::Options;
  using Stats = ProcessStore::Stats;

  explicit ProcessTree(Options options) : store_(std::move(options)) {}
  ProcessTree() : ProcessTree(Options()) {}

  // The instance as it is after the record; nothing when the record tells nothing: an end that was known.
  std::optional<ProcessInstance> Apply(const ProcessRecord& record);

  std::optional<ProcessInstance> Find(sl_process_id id) const;
  std::optional<ProcessInstance> FindByPid(std::uint32_t pid) const;  // the one that lives now
  // Nearest first: the programs that this process ran before, then the instance that forked it, and so on. A program
  // that executed itself is there once. `cut`: there are more, or some are not known.
  std::vector<ProcessInstance> Ancestors(sl_process_id id, std::size_t max = 32, bool* cut = nullptr) const;
  // The nearest ancestor that lives: it, or what it has executed since.
  std::optional<std::uint32_t> LivingParent(sl_process_id id) const;
  std::vector<ProcessInstance> Living() const;  // by id

  // Between these two calls every living process is told of, by seed or by event; what has changed of it without an
  // event (credentials, namespaces, cgroup) is known then. At the end, instances that began before
  // and were not told of have ended unseen. `complete` false: some may have been lost, nothing is concluded.
  void BeginSeed(std::uint64_t now_ns);
  void EndSeed(std::uint64_t now_ns, bool complete);

  // The instance of the host's first process, which some hosts keep to themselves. It has no ancestors.
  void SetFirst(sl_process_id id);

  void Expire(std::uint64_t now_ns);
  Stats stats() const;

 private:
  using Entry = ProcessStore::Entry;

  std::optional<ProcessInstance> ApplyExit(const ProcessRecord& record);
  policy::ObjectName OwnerOf(const ProcessRecord& record);
  Entry* Add(ProcessInstance instance, const policy::ObjectName& owner);
  Entry* FindByBirth(const sl_process_header& header);
  const ProcessInstance* FindParent(const ProcessInstance& instance, bool* known) const;
  void EndPrevious(const ProcessRecord& record);
  void EndOlder(const sl_process_header& header);
  static void Fill(ProcessInstance& instance, const ProcessRecord& record);
  static void FillChangeable(ProcessInstance& instance, const ProcessRecord& record);
  void FillImage(ProcessInstance& instance, const ProcessRecord& record, const ProcessStore::Share* share);

  mutable std::mutex mutex_;
  ProcessStore store_;
  sl_process_id first_ = 0;
  std::uint64_t seeding_ = 0;  // number of the present seeding, or the last
  std::uint64_t seed_began_ns_ = 0;
};

}  // namespace sluice::telemetry
