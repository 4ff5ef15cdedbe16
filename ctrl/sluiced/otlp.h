// The agent's connection to an OpenTelemetry collector: what --otlp and its options ask for.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "ctrl/otlp/otlp_logs.h"
#include "ctrl/otlp/otlp_metrics.h"
#include "ctrl/sluiced/options.h"
#include "telemetry/telemetry.h"

namespace sluice {

class Otlp {
 public:
  // InvalidArgument: an option.
  static Status Check(const AgentOptions& options);
  // Null: without --otlp. `telemetry` must outlive it; its Stop comes before the end of this. Error: as Check.
  static StatusOr<std::unique_ptr<Otlp>> Start(const AgentOptions& options, const std::string& node,
                                               telemetry::Telemetry* telemetry);

  std::vector<telemetry::OtlpNumbers> Numbers() const;

 private:
  Otlp() = default;
  std::unique_ptr<otlp::OtlpLogs> logs_;        // null: no logs
  std::unique_ptr<otlp::OtlpMetrics> metrics_;  // null: no metrics
};

}  // namespace sluice
