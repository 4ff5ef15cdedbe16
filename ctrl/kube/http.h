// HTTP requests as the client's parts see them. Transport is what they need of HTTP; CurlTransport (curl_transport.h)
// is the real one, and tests have another. All of it is for one thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/status.h"

namespace sluice::kube {

struct HttpRequest {
  std::string method = "GET";
  std::string path;          // with the query, encoded
  std::string content_type;  // of the body
  std::string body;
  bool compressed = false;               // the server may answer with gzip
  bool fresh_connection = false;         // the connection in use may be dead
  std::chrono::milliseconds timeout{0};  // of the whole exchange; 0: none
  bool low_speed_limit = false;          // give up when bytes come too slowly (Timing::low_speed_*)
};

struct HttpHead {
  int code = 0;  // 200, ...; 0: no header came
  std::string content_type;
  std::string retry_after;
};

class HttpHandler {
 public:
  virtual ~HttpHandler() = default;
  // Neither of these two may call the transport.
  virtual void OnHead(const HttpHead& head) = 0;
  virtual bool OnBody(std::string_view data) = 0;  // decompressed. False: give the exchange up
  // The last call; it may use the transport but for Start. `status`: whether the whole response came, whatever its code
  // is.
  virtual void OnEnd(const Status& status) = 0;
};

class Transport {
 public:
  virtual ~Transport() = default;
  // `handler` is called later, and must live until OnEnd or Cancel.
  virtual std::uint64_t Start(const HttpRequest& request, HttpHandler* handler) = 0;
  // No call of the handler follows. Nothing happens when the exchange has ended.
  virtual void Cancel(std::uint64_t id) = 0;
  // The server refused the token (401). True: there is another one now.
  virtual bool RereadCredentials() = 0;
};

}  // namespace sluice::kube
