// Sends the agent's metrics to an OpenTelemetry collector from time to time, in a thread of its own. What could not be
// sent until the next time is given up: the next values contain it.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <thread>
#include <vector>

#include "ctrl/otlp/otlp_delivery.h"

namespace sluice::otlp {

class OtlpMetrics {
 public:
  // The values of now, in requests of a size that collectors take. Thread-safe.
  using Read = std::function<std::vector<opentelemetry::proto::collector::metrics::v1::ExportMetricsServiceRequest>(
      std::size_t max_points)>;
  struct Options {
    std::chrono::milliseconds interval{60'000};
    OtlpPauses pauses;              // `give_up` is the interval at most
    std::size_t max_points = 4000;  // of a request: below 1 MiB
  };

  // What `read` uses must outlive it.
  OtlpMetrics(Options options, std::unique_ptr<OtlpSender> sender, Read read);
  ~OtlpMetrics();
  OtlpMetrics(const OtlpMetrics&) = delete;
  OtlpMetrics& operator=(const OtlpMetrics&) = delete;

  telemetry::OtlpNumbers Numbers() const { return delivery_.Numbers(); }

 private:
  void Run();

  const Options options_;
  const Read read_;
  OtlpDelivery delivery_;
  std::thread thread_;
};

}  // namespace sluice::otlp
