// The transport over libcurl: one multi handle, and one HTTP/2 connection for all requests where the server speaks
// HTTP/2. The only user of libcurl.
//
// A dead connection is noticed by TCP within a minute: keepalive probes, and a limit on unacknowledged data. TLS is 1.2
// at least. Redirects are not followed, as a token would follow them. For one thread, but for Wake.
#pragma once

#include <map>
#include <memory>

#include "ctrl/kube/config.h"
#include "ctrl/kube/credentials.h"
#include "ctrl/kube/http.h"

namespace sluice::kube {

class CurlTransport final : public Transport {
 public:
  // Also reads the credentials: an error here names the file.
  static StatusOr<std::unique_ptr<CurlTransport>> Create(ApiConfig config, const Timing& timing,
                                                         const Environment& environment);
  ~CurlTransport() override;
  CurlTransport(const CurlTransport&) = delete;
  CurlTransport& operator=(const CurlTransport&) = delete;

  std::uint64_t Start(const HttpRequest& request, HttpHandler* handler) override;
  void Cancel(std::uint64_t id) override;
  bool RereadCredentials() override;

  // Waits until something comes, Wake is called or `longest` is over; calls handlers.
  void Run(std::chrono::milliseconds longest);
  // From any thread.
  void Wake();

  // Reads credentials again when it is time.
  void RefreshCredentials();
  const Status& credentials_status() const { return credentials_.status(); }

 private:
  struct Exchange;
  struct Multi;

  CurlTransport(ApiConfig config, const Timing& timing, const Environment& environment);
  void SetUp(Exchange& exchange, const HttpRequest& request) const;
  void SetUpTls(Exchange& exchange) const;
  void TakeEnded();

  const ApiConfig config_;
  const Timing timing_;
  const Environment environment_;
  Credentials credentials_;
  std::unique_ptr<Multi> multi_;
  std::map<std::uint64_t, std::unique_ptr<Exchange>> exchanges_;
  std::uint64_t last_id_ = 0;
};

}  // namespace sluice::kube
