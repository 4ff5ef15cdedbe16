// Numbers of Responses as Prometheus families. Pure; used by Metrics only.
#pragma once

#include "telemetry/metrics/metric_families.h"
#include "telemetry/metrics/response_numbers.h"

namespace sluice::telemetry {

// So many Responses, the first ones, have series of their own; the others are counted together as "other".
inline constexpr std::size_t kMaxResponseSeries = 256;

void AddResponseFamilies(const ResponseNumbers& numbers, Families* out);

}  // namespace sluice::telemetry
