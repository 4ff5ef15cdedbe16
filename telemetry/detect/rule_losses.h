// Losses by rule and workload: "what might this rule have missed?". Bounded; what does not fit is counted as rule
// "other" without a workload. Not thread-safe.
#pragma once

#include <map>
#include <utility>
#include <vector>

#include "telemetry/detect/rule_numbers.h"

namespace sluice::telemetry {

class RuleLosses {
 public:
  explicit RuleLosses(std::size_t max_pairs = 4096) : max_pairs_(max_pairs) {}

  // The entry of a rule in a workload, for counting up.
  RuleLoss& Of(const std::string& rule, const policy::ObjectName& workload);
  std::vector<RuleLoss> All() const;
  // Forgets rules that `is_known` does not know.
  void Keep(const std::function<bool(const std::string& rule)>& is_known);

 private:
  const std::size_t max_pairs_;
  std::map<std::pair<std::string, policy::ObjectName>, RuleLoss> pairs_;
  RuleLoss other_{.rule = "other", .workload = {}};
};

}  // namespace sluice::telemetry
