// The connection to an OpenTelemetry collector: sends one request at a time by OTLP over gRPC. TLS is 1.2 at least.
// Certificates, keys and headers are read again when their files change; files that are wrong then change nothing.
//   SL_ASSIGN_OR_RETURN(const auto sender, OtlpSender::Create({.endpoint = "https://otel.example:4317"}));
//   const OtlpResult result = sender->Send(request);
// For one thread, except Interrupt.
#pragma once

#include <grpcpp/grpcpp.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "api/otlp_logs.grpc.pb.h"
#include "api/otlp_metrics.grpc.pb.h"
#include "api/tls.h"
#include "base/status.h"
#include "ctrl/otlp/otlp_result.h"

namespace sluice::otlp {

struct OtlpReceiver {
  std::string endpoint;  // "https://HOST:PORT", "http://HOST:PORT" (without TLS), "unix:///PATH"
  api::TlsFiles tls;     // of https; without `ca`: the system's CAs; without the others: no certificate is shown
  // File of what is sent with each request, for authentication: "NAME: VALUE" on a line; empty: nothing is.
  std::string headers;
};

// Empty: it can be a collector's address.
std::string EndpointProblem(const std::string& endpoint);

// Names are lower case, as gRPC sends them. InvalidArgument: FILE:LINE: what is wrong there, without the value.
using OtlpHeaders = std::vector<std::pair<std::string, std::string>>;
StatusOr<OtlpHeaders> ReadHeaders(const std::string& path);

// Log records, or data points.
std::uint64_t CountItems(const opentelemetry::proto::collector::logs::v1::ExportLogsServiceRequest& request);
std::uint64_t CountItems(const opentelemetry::proto::collector::metrics::v1::ExportMetricsServiceRequest& request);

class OtlpSender {
 public:
  // `timeout`: of one request. InvalidArgument: the address, or a file that cannot be read or is not what it has to be.
  static StatusOr<std::unique_ptr<OtlpSender>> Create(OtlpReceiver receiver,
                                                      std::chrono::milliseconds timeout = std::chrono::seconds(10));

  OtlpResult Send(const opentelemetry::proto::collector::logs::v1::ExportLogsServiceRequest& request);
  OtlpResult Send(const opentelemetry::proto::collector::metrics::v1::ExportMetricsServiceRequest& request);
  // Ends a Send that waits, and all later ones. From any thread.
  void Interrupt();

 private:
  OtlpSender(OtlpReceiver receiver, std::chrono::milliseconds timeout)
      : receiver_(std::move(receiver)), timeout_(timeout) {}
  Status Connect();
  void ConnectAgainIfFilesChanged();
  std::string FileFacts() const;
  template <typename Call>
  grpc::Status Run(const Call& call);

  const OtlpReceiver receiver_;
  const std::chrono::milliseconds timeout_;
  std::string facts_;  // of the files, when they were read last
  OtlpHeaders headers_;
  std::unique_ptr<opentelemetry::proto::collector::logs::v1::LogsService::Stub> logs_;
  std::unique_ptr<opentelemetry::proto::collector::metrics::v1::MetricsService::Stub> metrics_;
  std::mutex mutex_;  // guards the next two
  grpc::ClientContext* running_ = nullptr;
  bool interrupted_ = false;
};

}  // namespace sluice::otlp
