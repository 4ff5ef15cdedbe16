// Which workloads the agent was told to cut off, and what of that is not saved: the kernel first, then the disk, and
// the kernel's part is never taken back for what the disk says. Changes come from one thread at a time; reads from any.
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

  // `number`: of the workload's endpoint; 0: it is not found on the node yet. `saved`: why it is not on the disk.
  Status Begin(const policy::ObjectName& name, std::uint32_t number, std::uint64_t revision, Status* saved);
  Status End(const policy::ObjectName& name, std::uint32_t number, std::uint64_t revision);

  // In the kernel, for a generation whose endpoints have these numbers.
  Status Enforce(const node::EndpointIds& ids) const;

  // To be saved with the next change, which says so once it is.
  std::vector<policy::ObjectName> unsaved() const { return {unsaved_.begin(), unsaved_.end()}; }
  void NoteSaved() { unsaved_.clear(); }

  bool Contains(const policy::ObjectName& name) const;
  // Whom of `view` the kernel cuts off, whoever told it to; and whom it will when they come (again).
  policy::Quarantine In(const View& view, datapath::QuarantineState kernel) const;

 private:
  std::set<policy::ObjectName> names() const;

  datapath::Enforcer* const datapath_;
  const SaveChange save_;
  mutable std::mutex mutex_;
  std::set<policy::ObjectName> names_;    // by mutex_; also such that do not exist now
  std::set<policy::ObjectName> unsaved_;  // among `names_`
};

}  // namespace sluice::reconcile
