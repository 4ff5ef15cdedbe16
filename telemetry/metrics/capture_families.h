// Numbers of captures as Prometheus families. Pure; used by Metrics only.
#pragma once

#include "telemetry/metrics/capture_numbers.h"
#include "telemetry/metrics/metric_families.h"

namespace sluice::telemetry {

void AddCaptureFamilies(const CaptureNumbers& numbers, Families* out);

}  // namespace sluice::telemetry
