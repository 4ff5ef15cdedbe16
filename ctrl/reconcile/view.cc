#include "ctrl/reconcile/view.h"

namespace sluice::reconcile {

Status CheckStarted(const View& view, const std::string& netns) {
  for (const auto& [id, resource] : view.resources.of(policy::Kind::kWorkload)) {
    if (resource.workload->netns != netns) continue;
    const auto unbound = view.unbound.find(id.name);
    const bool is_unbound = unbound != view.unbound.end();
    if (view.held.contains(id.name) || (is_unbound && !view.holding.empty())) {
      return MakeError(absl::StatusCode::kUnavailable, "Workload {} is closed while the agent is holding: {}",
                       id.name.ToString(), view.holding);
    }
    if (!is_unbound || !resource.workload->closed_because.empty()) return OkStatus();
    return MakeError(absl::StatusCode::kFailedPrecondition, "{}", unbound->second);
  }
  return MakeError(absl::StatusCode::kNotFound, "no workload has the network namespace {}", netns);
}

}  // namespace sluice::reconcile
