// Every metric that the agent has: name, type, meaning, labels and how many series there may be. The metrics take their
// HELP from here, and docs/metrics.md is made from it. Pure.
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
  std::string bound;  // on the number of series; empty: there is one
  std::string when;   // empty: always there
};

// In the order of the page.
const std::vector<MetricInfo>& MetricList();
// Null: there is none.
const MetricInfo* FindMetric(std::string_view name);

}  // namespace sluice::telemetry
