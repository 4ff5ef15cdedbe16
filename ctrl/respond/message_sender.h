// Sends what `notify` of a Response asks for: JSON by HTTP or HTTPS POST, each message as one request, on connections
// that are kept. An answer other than 2xx is an error; one that may pass (408, 429, 5xx, no answer) is tried again, a
// few times with growing pauses. For one thread, but for Interrupt.
#pragma once

#include <atomic>
#include <chrono>
#include <map>
#include <memory>
#include <string>

#include "ctrl/kube/curl_transport.h"
#include "policy/response/model.h"

namespace sluice::respond {

class MessageSender {
 public:
  struct Options {
    int tries = 3;
    std::chrono::milliseconds first_pause{500};  // doubles
    std::chrono::milliseconds timeout{5000};     // of one request
    std::size_t max_receivers = 16;              // with a connection that is kept
  };

  explicit MessageSender(Options options) : options_(options) {}
  MessageSender() : MessageSender(Options()) {}

  Status Send(const policy::response::Notify& notify, const std::string& json);
  // Ends Send, and every Send after it, with Cancelled.
  void Interrupt() { interrupted_ = true; }

 private:
  struct Result {
    Status status;
    bool may_pass = false;
  };
  StatusOr<kube::CurlTransport*> Connect(const policy::response::Notify& notify);
  Result SendOnce(kube::CurlTransport& transport, const policy::response::Notify& notify, const std::string& json);

  const Options options_;
  std::atomic<bool> interrupted_ = false;
  std::map<std::string, std::unique_ptr<kube::CurlTransport>> transports_;  // by receiver and credentials
};

}  // namespace sluice::respond
