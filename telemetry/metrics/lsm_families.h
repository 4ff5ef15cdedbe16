// Numbers of KubeArmor policies as Prometheus families. Pure; used by Metrics only.
#pragma once

#include "telemetry/metrics/lsm_policies.h"
#include "telemetry/metrics/metric_families.h"

namespace sluice::telemetry {

// So many policies, the first ones, have series of their own; the others are counted together as policy "other".
inline constexpr std::size_t kMaxLsmSeries = 512;

void AddLsmFamilies(const LsmNumbers& numbers, Families* out);

}  // namespace sluice::telemetry
