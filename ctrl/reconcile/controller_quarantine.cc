// Workloads that are cut off the network, at once and whatever policy says.
#include "ctrl/reconcile/controller.h"

namespace sluice::reconcile {

using policy::ObjectName;

// Holding view_mutex_ guarantees that the number is still this workload's: it is reassigned two views later at the
// earliest, and starts without quarantine then.
Status Controller::CutOffAtOnce(const ObjectName& name) {
  const std::lock_guard lock(view_mutex_);
  const policy::Endpoint* endpoint = view_->compiled.snapshot ? view_->compiled.snapshot->FindByName(name) : nullptr;
  if (endpoint == nullptr || endpoint->endpoint == 0) return OkStatus();
  return datapath_->SetQuarantine(endpoint->endpoint, true);
}

StatusOr<std::uint64_t> Controller::Quarantine(const ObjectName& name, std::string* unsaved) {
  SL_RETURN_IF_ERROR(CutOffAtOnce(name));
  const std::lock_guard lock(mutex_);
  const std::uint64_t revision = view()->revision;
  if (!view()->resources.contains({policy::Kind::kWorkload, name}) && !refused_.contains(name)) return NotFound(name);
  Status saved = OkStatus();
  SL_RETURN_IF_ERROR(quarantines_.Begin(name, numbers().Find(name), revision, &saved));
  if (saved.ok()) return revision;
  if (unsaved != nullptr) *unsaved = Message(saved);
  unsaved_ = std::move(saved);
  return revision;
}

StatusOr<std::uint64_t> Controller::Release(const ObjectName& name) {
  const std::lock_guard lock(mutex_);
  const std::uint64_t revision = view()->revision;
  if (!quarantines_.Contains(name) && !view()->resources.contains({policy::Kind::kWorkload, name}) &&
      !refused_.contains(name)) {
    return NotFound(name);
  }
  SL_RETURN_IF_ERROR(quarantines_.End(name, numbers().Find(name), revision));
  return revision;
}

StatusOr<policy::Quarantine> Controller::quarantine() const {
  SL_ASSIGN_OR_RETURN(datapath::QuarantineState kernel, datapath_->ReadQuarantine());
  return quarantines_.In(*view(), std::move(kernel));
}

}  // namespace sluice::reconcile
