#include "telemetry/detect/rule_losses.h"

namespace sluice::telemetry {

RuleLoss& RuleLosses::Of(const std::string& rule, const policy::ObjectName& workload) {
  const auto found = pairs_.find({rule, workload});
  if (found != pairs_.end()) return found->second;
  if (pairs_.size() >= max_pairs_) return other_;
  return pairs_.try_emplace({rule, workload}, RuleLoss{.rule = rule, .workload = workload}).first->second;
}

std::vector<RuleLoss> RuleLosses::All() const {
  std::vector<RuleLoss> all;
  all.reserve(pairs_.size() + 1);
  for (const auto& [pair, loss] : pairs_) all.push_back(loss);
  if (other_.lost + other_.missed + other_.unsent != 0) all.push_back(other_);
  return all;
}

void RuleLosses::Keep(const std::function<bool(const std::string& rule)>& is_known) {
  std::erase_if(pairs_, [&](const auto& pair) { return !is_known(pair.first.first); });
}

}  // namespace sluice::telemetry
