// Policies that the kernel enforces by other programs than the packet path's: of hooks, and KubeArmor's.
#include "ctrl/reconcile/controller.h"

#include "base/log.h"

namespace sluice::reconcile {

using policy::ResourceId;
using policy::ResourceMap;

hooks::HookController::Change Controller::HooksOf(const Plan& plan, const StateChange& change, Saving saving) const {
  hooks::HookController::Change of_hooks{.resources = plan.view->resources,
                                         .bindings = plan.node_view->found,
                                         .settings = hook_settings_,
                                         .refuses = saving == Saving::kMust,
                                         .same_workloads = restored_ && plan.node_view == node_view_};
  for (const policy::Resource& resource : change.puts) {
    if (resource.tracing || resource.lsm) of_hooks.asked_for.insert(resource.id);
  }
  return of_hooks;
}

Status Controller::CheckHooks(const Plan& plan, const StateChange& change) const {
  if (hooks_ != nullptr) SL_RETURN_IF_ERROR(hooks_->Check(HooksOf(plan, change, Saving::kMust)));
  if (lsm_ != nullptr) SL_RETURN_IF_ERROR(lsm_->Check(HooksOf(plan, change, Saving::kMust)));
  for (const policy::Resource& resource : change.puts) {
    const bool is_enforced = (!resource.tracing || hooks_ != nullptr) && (!resource.lsm || lsm_ != nullptr);
    if (is_enforced) continue;
    return MakeError(absl::StatusCode::kFailedPrecondition, "{}: this agent enforces no such policies",
                     resource.id.ToString());
  }
  return OkStatus();
}

void Controller::PutBackHooks() {
  if (!restored_) return;
  const std::shared_ptr<const View> before = view();
  const auto put_back = [&](const Status& status, const char* what) {
    if (!status.ok()) LogError("restore the {} after a refused change: {}", what, Message(status));
  };
  if (hooks_ != nullptr) {
    put_back(
        hooks_->Enforce({.resources = before->resources, .bindings = node_view_->found, .settings = hook_settings_}),
        "hook policies");
  }
  if (lsm_ != nullptr)
    put_back(lsm_->Enforce({.resources = before->resources, .bindings = node_view_->found}), "KubeArmor policies");
}

// A policy that is gone takes its setting with it.
hooks::HookSettings Controller::HookSettingsAfter(const ResourceMap& resources) const {
  hooks::HookSettings after = hook_settings_;
  std::erase_if(after, [&](const auto& setting) { return !resources.contains(setting.first); });
  return after;
}

StatusOr<std::uint64_t> Controller::SetHookPolicy(const ResourceId& id, const hooks::HookSettingChange& change) {
  const std::lock_guard lock(mutex_);
  const std::shared_ptr<const View> now = view();
  if (hooks_ == nullptr || !now->resources.contains(id))
    return MakeError(absl::StatusCode::kNotFound, "{} does not exist", id.ToString());
  if (!holding_.empty()) return MakeError(absl::StatusCode::kFailedPrecondition, "holding: {}", holding_);
  hooks::HookSettings settings = hook_settings_;
  hooks::Make(change, id, &settings);
  if (settings == hook_settings_) return now->revision;
  const Status saved = save_({.hook_settings = settings, .revision = saved_revision_}, [&] {
    return hooks_->Enforce({.resources = now->resources,
                            .bindings = node_view_->found,
                            .settings = settings,
                            .asked_for = {id},
                            .refuses = true,
                            .same_workloads = true});
  });
  if (!saved.ok()) {
    PutBackHooks();
    return saved;
  }
  hook_settings_ = settings;
  saved_hook_settings_ = std::move(settings);
  return now->revision;
}

}  // namespace sluice::reconcile
