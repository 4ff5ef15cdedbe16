// docs/metrics.md is generated from the list of metrics: SLUICE_UPDATE_DOCS=1 writes it again.
#include "telemetry/metrics/metric_list.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <set>
#include <sstream>

namespace sluice::telemetry {
namespace {

constexpr const char* kHead = R"(# Metrics
What `/metrics` says (`--metrics`, 127.0.0.1:9464 by default), in Prometheus' text format. This page is made from
`telemetry/metrics/metric_list.cc`: change that, and run
`SLUICE_UPDATE_DOCS=1 build/bin/unit_telemetry --gtest_filter=MetricList.*`. A test compares it, another one compares a
real scrape with the list.

A bound says how many series a metric may have. Labels come from fixed sets, except names of workloads, programs, policies
and rules: as many of those as the options allow have their own series, and all others are summed up in one series,
`other`. A series never changes its owner: it disappears with its workload or policy. A label without a value is absent,
as usual in Prometheus.

- `verdict`: `FORWARDED`, `DROPPED`, or `AUDIT` (forwarded, and a policy in audit would have dropped it).
- `reason`: why a packet was dropped; `NONE` otherwise.
- `direction`: `egress` or `ingress`, seen from the workload.
- `effect`: what the rule did: `ALLOW`, `DENY`, `DEFAULT_DENY` (the policy isolates and no rule allows), `AUDIT`.
- `falcosecurity_*`: numbers under the names that Falco has for them, for people's dashboards.
)";

const char* NameOf(MetricKind kind) {
  switch (kind) {
    case MetricKind::kCounter:
      return "counter";
    case MetricKind::kGauge:
      return "gauge";
    case MetricKind::kHistogram:
      return "histogram";
  }
  return "";
}

std::string MetricsPage() {
  std::string page = kHead;
  page += "\n| metric | type | meaning | labels | at most | present |\n| --- | --- | --- | --- | --- | --- |\n";
  for (const MetricInfo& info : MetricList()) {
    page += fmt::format("| `{}` | {} | {} | {} | {} | {} |\n", info.name, NameOf(info.kind), info.help,
                        info.labels.empty() ? "" : fmt::format("`{}`", fmt::join(info.labels, "`, `")),
                        info.bound.empty() ? "1" : info.bound, info.when.empty() ? "always" : info.when);
  }
  return page;
}

TEST(MetricList, ThePageIsMadeFromIt) {
  const char* const source = std::getenv("SLUICE_SOURCE_DIR");
  const std::string path = std::string(source == nullptr ? "." : source) + "/docs/metrics.md";
  if (std::getenv("SLUICE_UPDATE_DOCS") != nullptr) std::ofstream(path) << MetricsPage();
  std::ostringstream written;
  written << std::ifstream(path).rdbuf();
  EXPECT_EQ(written.str(), MetricsPage()) << "SLUICE_UPDATE_DOCS=1 writes it anew";
}

TEST(MetricList, NamesAreUniqueAndHaveAMeaning) {
  std::set<std::string> names;
  for (const MetricInfo& info : MetricList()) {
    EXPECT_TRUE(names.insert(info.name).second) << info.name;
    EXPECT_TRUE(info.help.ends_with('.')) << info.name;
    EXPECT_EQ(info.name.ends_with("_total"), info.kind == MetricKind::kCounter) << info.name;
    EXPECT_EQ(info.labels.size() > 0, !info.bound.empty() || info.name == "sluice_build_info") << info.name;
  }
  EXPECT_EQ(FindMetric("sluice_ready")->help.front(), '1');
  EXPECT_EQ(FindMetric("ready"), nullptr);
}

}  // namespace
}  // namespace sluice::telemetry
