// Numbers of detection rules as Prometheus families. Pure; used by Metrics only.
#pragma once

#include "telemetry/detect/rule_numbers.h"
#include "telemetry/metrics/metric_families.h"

namespace sluice::telemetry {

// So many rules, the first ones, have series of their own; the others are counted together as rule "other".
inline constexpr std::size_t kMaxRuleSeries = 512;

void AddRuleFamilies(const DetectionNumbers& numbers, Families* out);

}  // namespace sluice::telemetry
