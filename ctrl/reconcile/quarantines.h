// The workloads that the agent was told to cut off, and which of them are not saved yet. The kernel comes first, then
// the disk; a quarantine stays in the kernel when it cannot be saved. Changes come from one thread at a time; reads
// from any.
#pragma once

#include <cstdint>
#include <functional>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "ctrl/node/endpoint_ids.h"
#include "ctrl/reconcile/state_store.h"
#include "ctrl/reconcile/view.h"
#include "kernel/datapath/enforcer.h"
#include "policy/network/quarantine.h"

namespace sluice::reconcile {

class Quarantines {
 public:
  // `datapath` outlives this.
  Quarantines(datapath::Enforcer* datapath, SaveChange save) : datapath_(datapath), save_(std::move(save)) {}

  void Restore(std::set<policy::ObjectName> names);  // as it was saved

  // `number`: the workload's endpoint; 0: not found on the node yet. `saved` gets the result of saving.
  Status Begin(const policy::ObjectName& name, std::uint32_t number, std::uint64_t revision, Status* saved);
  Status End(const policy::ObjectName& name, std::uint32_t number, std::uint64_t revision);

  // Sets all quarantines in the kernel, for a generation with these endpoint numbers.
  Status Enforce(const node::EndpointIds& ids) const;

  // To be saved with the next change; NoteSaved follows.
  std::vector<policy::ObjectName> unsaved() const { return {unsaved_.begin(), unsaved_.end()}; }
  void NoteSaved() { unsaved_.clear(); }

  bool Contains(const policy::ObjectName& name) const;
  // The workloads of `view` that the kernel cuts off, also for another caller, and those that it will when they come
  // (again).
  policy::Quarantine In(const View& view, datapath::QuarantineState kernel) const;

 private:
  std::set<policy::ObjectName> names() const;

  datapath::Enforcer* const datapath_;
  const SaveChange save_;
  mutable std::mutex mutex_;
  std::set<policy::ObjectName> names_;    // guarded by mutex_; also workloads that do not exist now
  std::set<policy::ObjectName> unsaved_;  // among `names_`
};

}  // namespace sluice::reconcile
