// Sends events to an OpenTelemetry collector as log records, in batches. Follows the hub in a thread of its own; the
// follower's queue is bounded and fair to workloads, and what does not fit is sent as a `lost` record and counted.
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "ctrl/otlp/otlp_delivery.h"
#include "telemetry/event/event_hub.h"
#include "telemetry/otlp/otlp_attributes.h"

namespace sluice::otlp {

// What --otlp-logs takes: "denied" (flows that policy denied, or would), and types of events: "flow", "exec", ...
const std::vector<std::string>& LogKinds();
// "flow" includes "denied". InvalidArgument: a kind that there is not.
StatusOr<telemetry::EventFilter> FilterOf(const std::vector<std::string>& kinds);

class OtlpLogs {
 public:
  struct Options {
    telemetry::OtlpResource resource;
    std::vector<std::string> kinds;
    OtlpPauses pauses;
    std::size_t max_records = 1024;            // of a batch
    std::size_t max_bytes = 1U << 20;          // of a batch, before the last record; collectors take 4 MiB
    std::chrono::milliseconds max_wait{1000};  // of the first record of a batch
    std::chrono::milliseconds at_end{1000};    // for what is queued when this ends
  };

  // `hub` must outlive it; closing it ends the thread. Error: as FilterOf and EventHub::Subscribe.
  static StatusOr<std::unique_ptr<OtlpLogs>> Start(Options options, std::unique_ptr<OtlpSender> sender,
                                                   telemetry::EventHub* hub);
  // Sends what is queued, for at most `at_end`; the rest is counted.
  ~OtlpLogs();
  OtlpLogs(const OtlpLogs&) = delete;
  OtlpLogs& operator=(const OtlpLogs&) = delete;

  telemetry::OtlpNumbers Numbers() const { return delivery_.Numbers(); }

 private:
  class Batch;
  OtlpLogs(Options options, std::unique_ptr<OtlpSender> sender, telemetry::EventHub* hub);
  void Run();

  const Options options_;
  telemetry::EventHub* const hub_;
  OtlpDelivery delivery_;
  std::unique_ptr<telemetry::Subscription> following_;
  std::thread thread_;
};

}  // namespace sluice::otlp
