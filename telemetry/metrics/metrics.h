// The agent's metrics, in Prometheus' text format. Values are read at each scrape. Labels come from fixed sets, except
// names of workloads, programs and policies, whose number is bounded. Thread-safe. This and its families are the
// only users of prometheus-cpp.
#pragma once

#include <chrono>
#include <memory>
#include <string>

#include "api/otlp_metrics.pb.h"
#include "telemetry/detect/rule_numbers.h"
#include "telemetry/event/event_export.h"
#include "telemetry/flow/flow_sweeper.h"
#include "telemetry/metrics/capture_numbers.h"
#include "telemetry/metrics/hook_policies.h"
#include "telemetry/metrics/lsm_policies.h"
#include "telemetry/metrics/otlp_numbers.h"
#include "telemetry/metrics/response_numbers.h"
#include "telemetry/metrics/source_state.h"
#include "telemetry/otlp/otlp_attributes.h"
#include "telemetry/process/process_sensor.h"

namespace prometheus {
class Histogram;
class Registry;
struct MetricFamily;
}  // namespace prometheus

namespace sluice::telemetry {

class WorkloadSeries;

// Connections and calls that the API refused, by cause.
using Refusals = std::function<std::vector<std::pair<std::string, std::uint64_t>>()>;

struct ProcessNumbers {
  ProcessSensor::Counters counters;
  ProcessTree::Stats tree;
  std::optional<bpf::MapFill> fill;  // of the kernel's table
};

// The sources of all values. They must outlive the metrics.
struct MetricsSources {
  datapath::PathReader* datapath = nullptr;
  const FlowSweeper* sweeper = nullptr;
  const EventHub* hub = nullptr;
  PolicySource policy;
  std::function<std::uint64_t()> revision;
  std::function<std::size_t()> unbound_workloads;
  std::function<StatusOr<std::size_t>()> quarantined_workloads;
  std::function<bool()> ready;
  std::function<std::string()> holding;                      // absent or empty: not holding
  std::function<std::optional<ProcessNumbers>()> processes;  // absent or nothing: no process sensors
  std::function<const ProcessTraffic*()> traffic;            // absent or null: programs are not known
  const PolicyVerdicts* verdicts = nullptr;                  // null: not counted
  std::function<const EventExport*()> exported;              // absent or null: no export
  Refusals api_refused;                                      // absent: no API
  SourceStates kubernetes;                                   // absent: no Kubernetes
  SourceWritesNow kubernetes_writes;                         // likewise
  LsmPoliciesNow lsm_policies;                               // absent: nothing enforces them
  ResponsesNow responses;                                    // absent: nothing answers events
  HookPoliciesNow hook_policies;                             // absent: nothing enforces them
  HookRecordsNow hook_records;                               // likewise
  DetectionNow detection;                                    // absent: there are no detection rules
  OtlpNow otlp;                                              // absent or nothing: no collector
  CaptureNow captures;                                       // absent or nothing: no packets are kept
  std::function<std::uint64_t()> http_dropped;               // absent: no HTTP server
};

struct MetricsOptions {
  std::size_t max_workloads = 256;  // with their own series
  std::string version;
};

class Metrics {
 public:
  Metrics(MetricsSources sources, MetricsOptions options);
  ~Metrics();

  // Records how long a change of the resources took, and whether it was applied or refused.
  void ObserveApply(std::chrono::duration<double> took, bool applied);

  std::string Render();
  // The same values for an OpenTelemetry collector, in requests with at most `max_points` data points each.
  std::vector<opentelemetry::proto::collector::metrics::v1::ExportMetricsServiceRequest> ToOtlp(
      const OtlpResource& resource, std::size_t max_points);

 private:
  std::vector<prometheus::MetricFamily> Collect();
  void NoteFailedRead(const Status& status);  // under mutex_

  const MetricsSources sources_;
  std::unique_ptr<prometheus::Registry> registry_;
  prometheus::Histogram* applied_;  // in registry_
  prometheus::Histogram* refused_;  // in registry_
  std::mutex mutex_;
  std::unique_ptr<WorkloadSeries> workloads_;  // by mutex_
  std::uint64_t failed_reads_ = 0;             // by mutex_
};

}  // namespace sluice::telemetry
