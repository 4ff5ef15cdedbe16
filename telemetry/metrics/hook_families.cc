#include "telemetry/metrics/hook_families.h"

#include <algorithm>

namespace sluice::telemetry {
namespace {

constexpr const char* kHookActions[] = {
#define SL_X(name, label) label,
    SL_HOOK_COUNTS(SL_X)
#undef SL_X
};

struct HookRow {
  policy::ObjectName policy;
  HookPolicyNumbers::Hook hook;
};

std::vector<HookRow> HookRows(const std::vector<HookPolicyNumbers>& policies) {
  std::vector<HookRow> rows;
  for (const HookPolicyNumbers& policy : policies) {
    for (const HookPolicyNumbers::Hook& hook : policy.hooks) {
      auto row = std::find_if(rows.begin(), rows.end(), [&](const HookRow& one) {
        return one.policy == policy.name && one.hook.hook == hook.hook;
      });
      if (row == rows.end() && rows.size() > kMaxHookSeries) row = rows.end() - 1;
      if (row == rows.end()) {
        const bool has_room = rows.size() < kMaxHookSeries;
        row = rows.insert(
            row, has_room ? HookRow{policy.name, {.hook = hook.hook}} : HookRow{{"", "other"}, {.hook = "other"}});
      }
      for (std::size_t i = 0; i < hook.counts.size(); ++i) row->hook.counts[i] += hook.counts[i];
    }
  }
  return rows;
}

MetricLabels LabelsOf(const HookRow& row) {
  return {{"namespace", row.policy.ns}, {"policy", row.policy.name}, {"hook", row.hook.hook}};
}

}  // namespace

void AddHookRecordFamilies(const HookRecordNumbers& records, Families* out) {
  FamilyBuilder builder(out);
  builder.Begin("sluice_hook_records_total")
      .Add(static_cast<double>(records.events), {{"result", "event"}})
      .Add(static_cast<double>(records.malformed), {{"result", "malformed"}})
      .Add(static_cast<double>(records.policy_gone), {{"result", "policy_gone"}});
  builder.Begin("sluice_hook_events_incomplete_total")
      .Add(static_cast<double>(records.cut_arguments), {{"lacks", "argument"}})
      .Add(static_cast<double>(records.calls_alone), {{"lacks", "return"}})
      .Add(static_cast<double>(records.returns_alone), {{"lacks", "call"}});
  builder.Begin("sluice_hook_runs_missed_total").Add(static_cast<double>(records.runs_missed));
}

void AddHookFamilies(const std::vector<HookPolicyNumbers>& policies, Families* out) {
  FamilyBuilder builder(out);
  builder.Begin("sluice_hook_policies");
  for (const char* const state : kHookPolicyStates) {
    const auto count = std::count_if(policies.begin(), policies.end(),
                                     [&](const HookPolicyNumbers& policy) { return policy.state == state; });
    builder.Add(static_cast<double>(count), {{"state", state}});
  }
  std::uint64_t memory = 0;
  for (const HookPolicyNumbers& policy : policies) memory += policy.memory_bytes;
  builder.Begin("sluice_hook_policies_memory_bytes").Add(static_cast<double>(memory));
  const std::vector<HookRow> rows = HookRows(policies);
  builder.Begin("sluice_hook_matches_total");
  for (const HookRow& row : rows)
    builder.Add(static_cast<double>(row.hook.counts[SL_HOOK_COUNT_MATCHED]), LabelsOf(row));
  builder.Begin("sluice_hook_actions_total");
  for (const HookRow& row : rows) {
    for (std::size_t i = 0; i < row.hook.counts.size(); ++i) {
      if (i == SL_HOOK_COUNT_MATCHED || i == SL_HOOK_COUNT_LOST || row.hook.counts[i] == 0) continue;
      MetricLabels labels = LabelsOf(row);
      labels.push_back({"action", kHookActions[i]});
      builder.Add(static_cast<double>(row.hook.counts[i]), std::move(labels));
    }
  }
  builder.Begin("sluice_hook_events_lost_total");
  for (const HookRow& row : rows) builder.Add(static_cast<double>(row.hook.counts[SL_HOOK_COUNT_LOST]), LabelsOf(row));
}

}  // namespace sluice::telemetry
