// Posts detections in Falco's JSON to a receiver by HTTP or HTTPS, each as one request on a connection that is kept:
// what Falco's http_output does, so that falcosidekick takes them. TLS is 1.2 at least; certificates are read again
// when they change.
#pragma once

#include <atomic>
#include <memory>
#include <string>

#include "ctrl/kube/json_post.h"
#include "telemetry/detect/detection_output.h"

namespace sluice::detect {

struct HttpReceiver {
  std::string url;          // "https://HOST:PORT/PATH"
  std::string ca;           // PEM file of the CAs of the receiver's certificate; empty: the system's
  std::string certificate;  // PEM file of the agent's certificate; empty: none is shown
  std::string key;          // PEM file of its key
};

// Empty: it can be a receiver's URL.
std::string UrlProblem(const std::string& url);

class HttpSender final : public telemetry::DetectionSender {
 public:
  // InvalidArgument: the URL; or an error that names a file that cannot be read.
  static StatusOr<std::unique_ptr<HttpSender>> Create(const HttpReceiver& receiver, const kube::Timing& timing = {});

  // Done: 2xx. Refused: another answer, which would be the same the next time; or the fifth of 5xx, 408 or 429 for one
  // detection. Later: no answer.
  Result Send(const v1::Event& detection) override;
  void Interrupt() override;

 private:
  HttpSender(std::unique_ptr<kube::CurlTransport> transport, std::string path, const kube::Timing& timing);
  Result ResultOf(const kube::PostAnswer& answer);

  const std::unique_ptr<kube::CurlTransport> transport_;
  const std::string path_;
  const kube::Timing timing_;
  int refusals_ = 0;  // of the current detection
  std::atomic<bool> interrupted_ = false;
};

}  // namespace sluice::detect
