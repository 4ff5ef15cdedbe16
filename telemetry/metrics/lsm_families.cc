#include "telemetry/metrics/lsm_families.h"

#include <algorithm>

namespace sluice::telemetry {
namespace {

std::vector<LsmNumbers::Policy> LsmRows(const std::vector<LsmNumbers::Policy>& policies) {
  const std::size_t own = std::min(policies.size(), kMaxLsmSeries);
  std::vector<LsmNumbers::Policy> rows(policies.begin(), policies.begin() + static_cast<std::ptrdiff_t>(own));
  if (own == policies.size()) return rows;
  LsmNumbers::Policy other{.kind = "other", .name = {"", "other"}};
  for (std::size_t i = own; i < policies.size(); ++i) {
    other.blocked += policies[i].blocked;
    other.audited += policies[i].audited;
    other.lost += policies[i].lost;
  }
  rows.push_back(other);
  return rows;
}

MetricLabels LabelsOfPolicy(const LsmNumbers::Policy& policy) {
  return {{"kind", policy.kind}, {"namespace", policy.name.ns}, {"policy", policy.name.name}};
}

}  // namespace

void AddLsmFamilies(const LsmNumbers& numbers, Families* out) {
  FamilyBuilder builder(out);
  const auto in_force = std::count_if(numbers.policies.begin(), numbers.policies.end(),
                                      [](const LsmNumbers::Policy& policy) { return policy.in_force; });
  builder.Begin("sluice_kubearmor_policies")
      .Add(static_cast<double>(in_force), {{"state", "enforced"}})
      .Add(static_cast<double>(numbers.policies.size()) - static_cast<double>(in_force), {{"state", "error"}});
  builder.Begin("sluice_kubearmor_memory_bytes").Add(static_cast<double>(numbers.memory_bytes));
  const std::vector<LsmNumbers::Policy> rows = LsmRows(numbers.policies);
  builder.Begin("sluice_kubearmor_actions_total");
  for (const LsmNumbers::Policy& row : rows) {
    for (const auto& [action, count] : {std::pair{"Block", row.blocked}, {"Audit", row.audited}}) {
      MetricLabels labels = LabelsOfPolicy(row);
      labels.push_back({"action", action});
      builder.Add(static_cast<double>(count), std::move(labels));
    }
  }
  builder.Begin("sluice_kubearmor_alerts_lost_total");
  for (const LsmNumbers::Policy& row : rows) builder.Add(static_cast<double>(row.lost), LabelsOfPolicy(row));
  builder.Begin("sluice_kubearmor_table_entries");
  for (const auto& table : numbers.tables) builder.Add(static_cast<double>(table.used), {{"table", table.name}});
  builder.Begin("sluice_kubearmor_table_capacity");
  for (const auto& table : numbers.tables) builder.Add(static_cast<double>(table.capacity), {{"table", table.name}});
  builder.Begin("sluice_kubearmor_not_judged_total").Add(static_cast<double>(numbers.not_judged));
  builder.Begin("sluice_kubearmor_unreadable_paths_total").Add(static_cast<double>(numbers.unreadable));
}

}  // namespace sluice::telemetry
