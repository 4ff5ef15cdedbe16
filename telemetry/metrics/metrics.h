// The agent's metrics, in Prometheus' text format. Everything is read when asked for; labels come from closed sets but
// for workloads, their programs and policies, whose numbers are bounded. Thread-safe. With metric_families the only
// user of prometheus-cpp.
#pragma once

#include <chrono>
#include <memory>
#include <string>

#include "telemetry/event/event_export.h"
#include "telemetry/flow/flow_sweeper.h"
#include "telemetry/process/process_sensor.h"

namespace prometheus {
class Histogram;
class Registry;
}  // namespace prometheus

namespace sluice::telemetry {

class WorkloadSeries;

// What the API did not let in, by cause.
using Refusals = std::function<std::vector<std::pair<std::string, std::uint64_t>>()>;

struct ProcessNumbers {
  ProcessSensor::Counters counters;
  ProcessTree::Stats tree;
  std::optional<bpf::MapFill> fill;  // of the kernel's table
};

// What is read. All outlive the metrics.
struct MetricsSources {
  datapath::PathReader* datapath = nullptr;
  const FlowSweeper* sweeper = nullptr;
  const EventHub* hub = nullptr;
  PolicySource policy;
  std::function<std::uint64_t()> revision;
  std::function<std::size_t()> unbound_workloads;
  std::function<StatusOr<std::size_t>()> quarantined_workloads;
  std::function<bool()> ready;
  std::function<std::string()> holding;                      // absent or empty: it does not hold
  std::function<std::optional<ProcessNumbers>()> processes;  // absent or nothing: none are seen
  std::function<const ProcessTraffic*()> traffic;            // absent or null: no program is known
  const PolicyVerdicts* verdicts = nullptr;                  // null: not counted
  std::function<const EventExport*()> exported;              // absent or null: there is no export
  Refusals api_refused;                                      // absent: there is no API
  std::function<std::uint64_t()> http_dropped;               // absent: nothing is served
};

struct MetricsOptions {
  std::size_t max_workloads = 256;  // with series of their own
  std::string version;
};

class Metrics {
 public:
  Metrics(MetricsSources sources, MetricsOptions options);
  ~Metrics();

  // A change of the resources took this long, and took effect or was refused.
  void ObserveApply(std::chrono::duration<double> took, bool applied);

  std::string Render();

 private:
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
