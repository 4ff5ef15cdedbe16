#include "ctrl/reconcile/quarantines.h"

#include <utility>

#include "base/log.h"

namespace sluice::reconcile {

using policy::ObjectName;

void Quarantines::Restore(std::set<ObjectName> names) {
  const std::lock_guard lock(mutex_);
  names_ = std::move(names);
}

bool Quarantines::Contains(const ObjectName& name) const {
  const std::lock_guard lock(mutex_);
  return names_.contains(name);
}

std::set<ObjectName> Quarantines::names() const {
  const std::lock_guard lock(mutex_);
  return names_;
}

Status Quarantines::Begin(const ObjectName& name, std::uint32_t number, std::uint64_t revision, Status* saved) {
  if (Contains(name) && !unsaved_.contains(name)) return OkStatus();
  if (number != 0) SL_RETURN_IF_ERROR(datapath_->SetQuarantine(number, true));
  {
    const std::lock_guard lock(mutex_);
    names_.insert(name);
  }
  LogInfo("Workload {} is in quarantine", name.ToString());
  *saved = save_({.quarantines = {name}, .revision = revision}, OkStatus);
  if (saved->ok()) {
    unsaved_.erase(name);
    return OkStatus();
  }
  LogError("Workload {} is in quarantine, but that is not saved and would not outlive a boot: {}", name.ToString(),
           Message(*saved));
  unsaved_.insert(name);
  return OkStatus();
}

Status Quarantines::End(const ObjectName& name, std::uint32_t number, std::uint64_t revision) {
  const bool to_save = Contains(name) && !unsaved_.contains(name);
  const auto release = [&] { return number == 0 ? OkStatus() : datapath_->SetQuarantine(number, false); };
  if (Status status = to_save ? save_({.releases = {name}, .revision = revision}, release) : release(); !status.ok()) {
    if (to_save && number != 0) {
      if (Status undone = datapath_->SetQuarantine(number, true); !undone.ok()) {
        LogError("Workload {} may be free though its release was refused: {}", name.ToString(), Message(undone));
      }
    }
    return status;
  }
  LogInfo("Workload {} is released from quarantine", name.ToString());
  unsaved_.erase(name);
  const std::lock_guard lock(mutex_);
  names_.erase(name);
  return OkStatus();
}

Status Quarantines::Enforce(const node::EndpointIds& ids) const {
  for (const ObjectName& name : names()) {
    const std::uint32_t number = ids.Find(name);
    if (number != 0) SL_RETURN_IF_ERROR(datapath_->SetQuarantine(number, true));
  }
  return OkStatus();
}

policy::Quarantine Quarantines::In(const View& view, datapath::QuarantineState kernel) const {
  policy::Quarantine all{.workloads = names(), .allow = std::move(kernel.allow)};
  if (!view.compiled.snapshot) return all;
  for (const policy::Endpoint& endpoint : view.compiled.snapshot->endpoints) {
    if (endpoint.endpoint != 0 && kernel.endpoints.contains(endpoint.endpoint)) all.workloads.insert(endpoint.name);
  }
  return all;
}

}  // namespace sluice::reconcile
