// Process instances by id and by pid, made from the sensors' records: living ones, ones that ended a short while ago,
// and ancestors of known ones. Memory is bounded (ProcessStore); what does not fit is absent, never wrong.
//
// Records of one process come in order (one ring), but the iterator's may come late: they do not revive an ended
// instance. Thread-safe. Results are copies.
#pragma once

#include <map>
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

  // The instance after the record; nothing if the record has nothing new: a known end.
  std::optional<ProcessInstance> Apply(const ProcessRecord& record);

  std::optional<ProcessInstance> Find(sl_process_id id) const;
  std::optional<ProcessInstance> FindByPid(std::uint32_t pid) const;  // the living one
  // Nearest first: the programs that this process ran before, then the instance that forked it, and so on. A program
  // that executed itself is listed once. `cut` is set if there are more, or if some are not known.
  std::vector<ProcessInstance> Ancestors(sl_process_id id, std::size_t max = 32, bool* cut = nullptr) const;
  // The pid of the nearest living ancestor, which may have executed another program since.
  std::optional<std::uint32_t> LivingParent(sl_process_id id) const;
  std::vector<ProcessInstance> Living() const;  // by id
  // All instances by pid and start, as exec ids name them.
  using Starts = std::map<std::pair<std::uint32_t, std::uint64_t>, sl_process_id>;
  Starts IdsByStart() const;

  // Between these two calls a seed or an event reports every living process, and with it changes that have no event
  // (credentials, namespaces, cgroup). EndSeed marks older instances that were not reported as ended. `complete` false:
  // reports may have been lost, so nothing is marked.
  void BeginSeed(std::uint64_t now_ns);
  void EndSeed(std::uint64_t now_ns, bool complete);

  // Sets the instance of the host's first process, which some hosts hide. It has no ancestors.
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
  std::uint64_t seeding_ = 0;  // number of the current or last seeding
  std::uint64_t seed_began_ns_ = 0;
};

}  // namespace sluice::telemetry
