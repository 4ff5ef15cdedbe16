#include "telemetry/metrics/otlp_families.h"

#include <cmath>
#include <string_view>

namespace sluice::telemetry {
namespace {

using otlp_metrics::ExportMetricsServiceRequest;
using prometheus::MetricType;

// Of UCUM, from the ends of names: Prometheus' rules for names ask for base units there.
const char* UnitOf(std::string_view name) {
  if (name.ends_with("_total")) name.remove_suffix(std::string_view("_total").size());
  return name.ends_with("_seconds") ? "s" : name.ends_with("_bytes") ? "By" : "";
}

otlp_metrics::Metric* BeginMetric(const prometheus::MetricFamily& family, ExportMetricsServiceRequest* request) {
  otlp_metrics::Metric* const metric = request->mutable_resource_metrics(0)->mutable_scope_metrics(0)->add_metrics();
  metric->set_name(family.name);
  metric->set_description(family.help);
  metric->set_unit(UnitOf(family.name));
  return metric;
}

template <typename Point>
void FillPoint(const prometheus::ClientMetric& series, std::uint64_t time_ns, Point* out) {
  out->set_time_unix_nano(time_ns);
  OtlpAttributes attributes(out->mutable_attributes());
  for (const auto& label : series.label) attributes.Add(label.name, label.value);
}

// Prometheus' buckets contain those below, and the last has no bound.
void FillHistogram(const prometheus::ClientMetric::Histogram& histogram, otlp_metrics::HistogramDataPoint* out) {
  out->set_count(histogram.sample_count);
  out->set_sum(histogram.sample_sum);
  std::uint64_t below = 0;
  bool is_open = false;
  for (const auto& bucket : histogram.bucket) {
    out->add_bucket_counts(bucket.cumulative_count - below);
    below = bucket.cumulative_count;
    is_open = std::isinf(bucket.upper_bound);
    if (!is_open) out->add_explicit_bounds(bucket.upper_bound);
  }
  if (!is_open) out->add_bucket_counts(histogram.sample_count - below);
}

void AddSeries(MetricType type, const prometheus::ClientMetric& series, std::uint64_t time_ns,
               otlp_metrics::Metric* out) {
  if (type == MetricType::Histogram) {
    out->mutable_histogram()->set_aggregation_temporality(otlp_metrics::AGGREGATION_TEMPORALITY_CUMULATIVE);
    otlp_metrics::HistogramDataPoint* const point = out->mutable_histogram()->add_data_points();
    FillPoint(series, time_ns, point);
    return FillHistogram(series.histogram, point);
  }
  const bool counts = type == MetricType::Counter;
  if (counts) {
    out->mutable_sum()->set_aggregation_temporality(otlp_metrics::AGGREGATION_TEMPORALITY_CUMULATIVE);
    out->mutable_sum()->set_is_monotonic(true);
  }
  otlp_metrics::NumberDataPoint* const point =
      counts ? out->mutable_sum()->add_data_points() : out->mutable_gauge()->add_data_points();
  FillPoint(series, time_ns, point);
  point->set_as_double(counts ? series.counter.value : series.gauge.value);
}

}  // namespace

std::vector<ExportMetricsServiceRequest> MakeMetricRequests(const Families& families, const OtlpResource& resource,
                                                            std::uint64_t time_ns, std::size_t max_points) {
  std::vector<ExportMetricsServiceRequest> requests;
  std::size_t points = max_points;  // of the last request
  for (const prometheus::MetricFamily& family : families) {
    otlp_metrics::Metric* metric = nullptr;
    for (const prometheus::ClientMetric& series : family.metric) {
      if (points >= max_points) {
        otlp_metrics::ResourceMetrics& begun = *requests.emplace_back().add_resource_metrics();
        FillResource(resource, begun.mutable_resource());
        FillScope(resource, begun.add_scope_metrics()->mutable_scope());
        points = 0;
        metric = nullptr;
      }
      if (metric == nullptr) metric = BeginMetric(family, &requests.back());
      AddSeries(family.type, series, time_ns, metric);
      ++points;
    }
  }
  return requests;
}

}  // namespace sluice::telemetry
