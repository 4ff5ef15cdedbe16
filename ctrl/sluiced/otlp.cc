#include "ctrl/sluiced/otlp.h"

#include <chrono>
#include <utility>

namespace sluice {
namespace {

bool SendsLogs(const AgentOptions& options) { return options.otlp_logs != std::vector<std::string>{"none"}; }

}  // namespace

Status Otlp::Check(const AgentOptions& options) {
  const otlp::OtlpReceiver& receiver = options.otlp;
  if (receiver.endpoint.empty()) {
    const bool is_asked_for = !receiver.tls.empty() || !receiver.headers.empty() || options.otlp_metrics_interval != 0;
    return is_asked_for ? InvalidError("--otlp-*: these options need --otlp") : OkStatus();
  }
  if (SendsLogs(options)) SL_RETURN_IF_ERROR(Annotate(otlp::FilterOf(options.otlp_logs).status(), "--otlp-logs"));
  return Annotate(otlp::OtlpSender::Create(receiver).status(), "--otlp");
}

StatusOr<std::unique_ptr<Otlp>> Otlp::Start(const AgentOptions& options, const std::string& node,
                                            telemetry::Telemetry* telemetry) {
  if (options.otlp.endpoint.empty()) return std::unique_ptr<Otlp>();
  std::unique_ptr<Otlp> started(new Otlp);
  // Hubble's clients need a name, so there is one also where nobody gave it.
  const bool is_named = options.hubble.cluster != hubble::HubbleOptions().cluster;
  const telemetry::OtlpResource resource{.node = node,
                                         .version = SLUICE_VERSION,
                                         .cluster = is_named ? options.hubble.cluster : "",
                                         .kubernetes = options.kube != "off"};
  if (SendsLogs(options)) {
    SL_ASSIGN_OR_RETURN(auto sender, otlp::OtlpSender::Create(options.otlp));
    SL_ASSIGN_OR_RETURN(started->logs_, otlp::OtlpLogs::Start({.resource = resource, .kinds = options.otlp_logs},
                                                              std::move(sender), &telemetry->hub()));
  }
  if (options.otlp_metrics_interval != 0) {
    SL_ASSIGN_OR_RETURN(auto sender, otlp::OtlpSender::Create(options.otlp));
    started->metrics_ = std::make_unique<otlp::OtlpMetrics>(
        otlp::OtlpMetrics::Options{.interval = std::chrono::seconds(options.otlp_metrics_interval)}, std::move(sender),
        [telemetry, resource](std::size_t max_points) { return telemetry->metrics().ToOtlp(resource, max_points); });
  }
  return started;
}

std::vector<telemetry::OtlpNumbers> Otlp::Numbers() const {
  std::vector<telemetry::OtlpNumbers> all;
  if (logs_) all.push_back(logs_->Numbers());
  if (metrics_) all.push_back(metrics_->Numbers());
  return all;
}

}  // namespace sluice
