// A JSON document for a receiver that is no API server: one POST, on a connection that is kept. For the transport's
// thread.
#pragma once

#include <atomic>
#include <chrono>
#include <optional>
#include <string>

#include "ctrl/kube/curl_transport.h"

namespace sluice::kube {

struct UrlParts {
  std::string server;  // "https://HOST:PORT"
  std::string path;    // "/PATH"; "/" where the URL has none
};

// `url`: with a scheme.
UrlParts PartsOf(const std::string& url);

// Whether the same request may get another answer the next time: 408, 429 and 5xx.
bool MayPass(int code);

struct PostAnswer {
  HttpHead head;  // code 0: no answer came
  Status status;  // why
};

// Reads changed certificates and tokens again, and waits for the end. What the receiver writes is passed over; a long
// answer is given up. Nothing: `interrupted` is true, which is noticed within 100 ms.
std::optional<PostAnswer> PostJson(CurlTransport& transport, const std::string& path, const std::string& json,
                                   std::chrono::milliseconds timeout, const std::atomic<bool>& interrupted);

}  // namespace sluice::kube
