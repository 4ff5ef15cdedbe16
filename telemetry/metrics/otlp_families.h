// Prometheus families as OTLP's metrics. Names, labels and meanings stay those of docs/metrics.md, so that queries are
// the same on both ways. Sums are cumulative and without a start time: what the kernel counts goes on over a restart of
// the agent, and OTLP takes a new start time for a count that began anew. Pure; used by Metrics only.
#pragma once

#include <cstdint>
#include <vector>

#include "api/otlp_metrics.pb.h"
#include "telemetry/metrics/metric_families.h"
#include "telemetry/otlp/otlp_attributes.h"

namespace sluice::telemetry {

namespace otlp_metrics = opentelemetry::proto::collector::metrics::v1;

// Requests with at most `max_points` data points each; a family may be in several. `time_ns`: now, since 1970.
std::vector<otlp_metrics::ExportMetricsServiceRequest> MakeMetricRequests(const Families& families,
                                                                          const OtlpResource& resource,
                                                                          std::uint64_t time_ns,
                                                                          std::size_t max_points);

}  // namespace sluice::telemetry
