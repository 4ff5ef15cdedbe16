// Numbers of hook policies as Prometheus families. Pure; used by Metrics only.
#pragma once

#include "telemetry/metrics/hook_policies.h"
#include "telemetry/metrics/metric_families.h"

namespace sluice::telemetry {

// So many hooks, the first ones, have series of their own; the others are counted together as policy "other".
inline constexpr std::size_t kMaxHookSeries = 512;
// The states of policies, each of which has a series.
inline constexpr std::array<const char*, 5> kHookPolicyStates = {"enabled", "monitor", "disabled", "error",
                                                                 "other-nodes"};

void AddHookRecordFamilies(const HookRecordNumbers& records, Families* out);
void AddHookFamilies(const std::vector<HookPolicyNumbers>& policies, Families* out);

}  // namespace sluice::telemetry
