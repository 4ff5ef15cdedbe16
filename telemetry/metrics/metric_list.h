// All metrics of the agent: name, type, meaning, labels and the most series. HELP texts come from here, and
// docs/metrics.md is made from it. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace sluice::telemetry {

enum class MetricKind { kCounter, kGauge, kHistogram };

struct MetricInfo {
  std::string name;
  MetricKind kind = MetricKind::kGauge;
  std::string help;
  std::vector<std::string> labels;
  std::string bound;  // on the number of series; empty: one series
  std::string when;   // when it is present; empty: always
};

// In the order of the page.
const std::vector<MetricInfo>& MetricList();
// Null: unknown.
const MetricInfo* FindMetric(std::string_view name);

}  // namespace sluice::telemetry
