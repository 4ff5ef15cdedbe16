// All of telemetry, put together for the agent: collector thread, followers, history, metrics and their HTTP server.
// Thread-safe but for Start and Stop, which belong to main, as do Serve, StartProcesses and
// StartExport.
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

// What telemetry asks of the rest of the agent; everything outlives it and may be called from any thread.
struct TelemetrySources {
  datapath::PathReader* datapath = nullptr;
  PolicySource policy;
  std::function<std::uint64_t()> revision;
  std::function<std::size_t()> unbound_workloads;
  // What is closed, though the agent enforces, and why: a line each. May be absent.
  std::function<std::vector<std::string>()> closed;
  std::function<StatusOr<std::size_t>()> quarantined_workloads;
  std::function<bool()> ready;           // what was found at the start is enforced
  std::function<std::string()> holding;  // why the kernel's policy is not replaced; empty: it is; may be absent
  Refusals api_refused;                  // may be absent
  std::function<void(bool on)> send_flow_events;  // SL_SETTING_EVENTS; must not call back
};

class Telemetry {
 public:
  Telemetry(TelemetryOptions options, TelemetrySources sources);
  ~Telemetry() { Stop(); }

  // Serves HTTP; until `ready`, /readyz and /metrics say 503, and /readyz also while something is not as it should be.
  // What is closed is no reason for a 503: the agent enforces, and the body says what is.
  // Error: the metrics address, as HttpServer::Start.
  Status Serve();
  // Sees processes from now on. Before `ready`. Error: none are seen, as ProcessSensor::Start; all else works.
  Status StartProcesses(ProcessSensor::Options options);
  // Exports events from now on. Before `ready`. Error: as EventExport::Start.
  Status StartExport(EventExport::Options options);
  // Serves, unless Serve was called before, and starts the collector.
  Status Start();
  // Ends all following, then the collector and the HTTP server. Idempotent.
  void Stop();

  // What workloads and their programs or peers sent and were denied. Error: as TopTraffic::Read.
  StatusOr<v1::TopReply> ReadTop(const v1::TopRequest& request);

  FlowAssembler& assembler() { return assembler_; }
  History& history() { return history_; }
  EventHub& hub() { return hub_; }
  FlowSweeper& sweeper() { return sweeper_; }
  Metrics& metrics() { return metrics_; }
  ProcessSensor* processes() const { return processes_.get(); }      // null: none are seen
  const EventExport* event_export() const { return export_.get(); }  // null: there is none
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
  std::unique_ptr<ProcessTraffic> traffic_;  // uses processes_; null as that is
  std::unique_ptr<EventExport> export_;
  std::unique_ptr<HttpServer> http_;
  std::atomic<const HttpServer*> serving_ = nullptr;  // http_, for its own threads
};

}  // namespace sluice::telemetry
