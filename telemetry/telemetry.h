// All parts of telemetry for the agent: collector thread, followers, history, metrics and their HTTP server.
// Thread-safe, except Start, Stop, Serve, StartProcesses and StartExport: only main calls those.
#pragma once

#include "telemetry/event/event_export.h"
#include "telemetry/flow/collector.h"
#include "telemetry/metrics/http_server.h"
#include "telemetry/metrics/metrics.h"
#include "telemetry/process/process_sensor.h"

namespace sluice::telemetry {

struct TelemetryOptions {
  std::string node;
  std::string version;
  std::string metrics_address = "127.0.0.1:9464";  // empty: not served
  std::size_t history = 4096;                      // past events
  std::size_t max_workload_series = 256;
  std::size_t max_process_series = 512;
  std::size_t max_policy_series = 512;
  Collector::Options collector;
  Clock clock = ReadClocks;
};

// What telemetry needs from the rest of the agent. All of it must outlive telemetry and be callable from any thread.
struct TelemetrySources {
  datapath::PathReader* datapath = nullptr;
  PolicySource policy;
  std::function<std::uint64_t()> revision;
  std::function<std::size_t()> unbound_workloads;
  // Closed workloads and interfaces with the reasons, one line each. May be absent.
  std::function<std::vector<std::string>()> closed;
  std::function<StatusOr<std::size_t>()> quarantined_workloads;
  std::function<bool()> ready;                       // everything found at the start is enforced
  std::function<std::string()> holding;              // why the agent is holding; empty: it is not; may be absent
  Refusals api_refused;                              // may be absent
  SourceStates kubernetes;                           // may be absent: no Kubernetes
  SourceWritesNow kubernetes_writes;                 // likewise
  LsmPoliciesNow lsm_policies;                       // may be absent: nothing enforces them
  ResponsesNow responses;                            // may be absent: nothing answers events
  HookPoliciesNow hook_policies;                     // may be absent: nothing enforces them
  HookRecordsNow hook_records;                       // likewise
  DetectionNow detection;                            // may be absent: there are no detection rules
  OtlpNow otlp;                                      // may be absent: no collector
  CaptureNow captures;                               // may be absent: no packets are kept
  const ContainerNames* containers = nullptr;        // null: no container has a name
  const datapath::ServiceNames* services = nullptr;  // null: no Service has a name
  std::function<void(bool on)> send_flow_events;     // SL_SETTING_EVENTS; must not call back
};

class Telemetry {
 public:
  Telemetry(TelemetryOptions options, TelemetrySources sources);
  ~Telemetry() { Stop(); }

  // Serves HTTP. Until `ready`, /readyz and /metrics answer 503; /readyz also while the agent is holding or enforcement
  // is damaged. Closed workloads do not cause a 503: the agent enforces, and the body lists them.
  // Error: the metrics address, as HttpServer::Start.
  Status Serve();
  // Starts the process sensors. Call before `ready`. Error: as ProcessSensor::Start; no processes are seen, but the
  // rest works.
  Status StartProcesses(ProcessSensor::Options options);
  // Starts exporting events. Call before `ready`. Error: as EventExport::Start.
  Status StartExport(EventExport::Options options);
  // Calls Serve unless it was called before, and starts the collector.
  Status Start();
  // Ends all subscriptions, then the collector and the HTTP server. Idempotent.
  void Stop();

  // Traffic and drops of workloads, and of their programs or peers. Error: as TopTraffic::Read.
  StatusOr<v1::TopReply> ReadTop(const v1::TopRequest& request);

  FlowAssembler& assembler() { return assembler_; }
  History& history() { return history_; }
  EventHub& hub() { return hub_; }
  FlowSweeper& sweeper() { return sweeper_; }
  Metrics& metrics() { return metrics_; }
  ProcessSensor* processes() const { return processes_.get(); }      // null: no process sensors
  const EventExport* event_export() const { return export_.get(); }  // null: no export
  int metrics_port() const { return http_ ? http_->port() : 0; }

 private:
  std::optional<ProcessNumbers> ReadProcessNumbers() const;
  std::string Holding() const;
  HttpReply Ready() const;

  const TelemetryOptions options_;
  const TelemetrySources sources_;
  FlowAssembler assembler_;
  History history_;
  EventHub hub_;
  PolicyVerdicts verdicts_;
  TopTraffic top_{TopTraffic::Options()};
  FlowSweeper sweeper_;
  Metrics metrics_;
  Collector collector_;
  std::unique_ptr<ProcessSensor> processes_;
  std::unique_ptr<ProcessTraffic> traffic_;  // uses processes_; null without it
  std::unique_ptr<EventExport> export_;
  std::unique_ptr<HttpServer> http_;
  std::atomic<const HttpServer*> serving_ = nullptr;  // http_, for its own threads
};

}  // namespace sluice::telemetry
