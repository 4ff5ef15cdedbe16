// Quarantine: the kernel first, then the disk.
#include "ctrl/reconcile/controller.h"

#include "base/log.h"

namespace sluice::reconcile {

using policy::ObjectName;

// Under view_mutex_, so that the number is still the workload's: it gets another owner two views later at the earliest,
// and starts free then.
Status Controller::CutOffAtOnce(const ObjectName& name) {
  const std::lock_guard lock(view_mutex_);
  const policy::Endpoint* endpoint = view_->compiled.snapshot ? view_->compiled.snapshot->FindByName(name) : nullptr;
  if (endpoint == nullptr || endpoint->endpoint == 0) return OkStatus();
  return datapath_->SetQuarantine(endpoint->endpoint, true);
}

// The kernel's part is never taken back for what the disk says.
StatusOr<std::uint64_t> Controller::Quarantine(const ObjectName& name, std::string* unsaved) {
  SL_RETURN_IF_ERROR(CutOffAtOnce(name));
  const std::lock_guard lock(mutex_);
  const std::uint64_t revision = view()->revision;
  if (!view()->resources.contains({policy::Kind::kWorkload, name}) && !refused_.contains(name)) return NotFound(name);
  if (quarantined_.contains(name) && !unsaved_quarantines_.contains(name)) return revision;
  const std::uint32_t number = numbers().Find(name);  // 0: not found on the node yet
  if (number != 0) SL_RETURN_IF_ERROR(datapath_->SetQuarantine(number, true));
  {
    const std::lock_guard view_lock(view_mutex_);
    quarantined_.insert(name);
  }
  LogInfo("Workload {} is in quarantine", name.ToString());
  Status saved = save_({.quarantines = {name}, .revision = revision}, OkStatus);
  if (saved.ok()) {
    unsaved_quarantines_.erase(name);
    return revision;
  }
  LogError("Workload {} is in quarantine, but that is not saved and would not outlive a boot: {}", name.ToString(),
           Message(saved));
  unsaved_quarantines_.insert(name);
  if (unsaved != nullptr) *unsaved = Message(saved);
  unsaved_ = std::move(saved);
  return revision;
}

StatusOr<std::uint64_t> Controller::Release(const ObjectName& name) {
  const std::lock_guard lock(mutex_);
  const std::uint64_t revision = view()->revision;
  const bool is_known = quarantined_.contains(name);
  if (!is_known && !view()->resources.contains({policy::Kind::kWorkload, name}) && !refused_.contains(name)) {
    return NotFound(name);
  }
  const bool to_save = is_known && !unsaved_quarantines_.contains(name);
  const std::uint32_t number = numbers().Find(name);
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
  unsaved_quarantines_.erase(name);
  const std::lock_guard view_lock(view_mutex_);
  quarantined_.erase(name);
  return revision;
}

StatusOr<policy::Quarantine> Controller::quarantine() const {
  SL_ASSIGN_OR_RETURN(datapath::QuarantineState kernel, datapath_->ReadQuarantine());
  policy::Quarantine all{.workloads = {}, .allow = std::move(kernel.allow)};
  std::shared_ptr<const View> view;
  {
    const std::lock_guard lock(view_mutex_);
    all.workloads = quarantined_;
    view = view_;
  }
  if (!view->compiled.snapshot) return all;
  for (const policy::Endpoint& endpoint : view->compiled.snapshot->endpoints) {
    if (endpoint.endpoint != 0 && kernel.endpoints.contains(endpoint.endpoint)) all.workloads.insert(endpoint.name);
  }
  return all;
}

}  // namespace sluice::reconcile
