// A small HTTP/1.1 server for GET requests on fixed paths, safe against untrusted clients. One thread moves all bytes.
// Each path has its own thread that makes answers, so that no path waits for another; requests for one path that come
// at the same time share one answer. Requests and answers have time limits. Connections have limits too: one path may
// have half of all; one client (an IPv4 address, or an IPv6 /64 prefix) may have three quarters of all, and of a
// path's. Beyond a limit, the oldest connection that has not sent its request is closed: the client's own if the client
// is at its limit, else one of the client with the most connections.
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "base/status.h"

namespace sluice::telemetry {

struct HttpReply {
  int code = 200;
  std::string content_type = "text/plain; charset=utf-8";
  std::string body;
};

struct HttpLimits {
  std::size_t connections = 64;
  std::size_t request_bytes = 8192;  // including all headers
  std::chrono::milliseconds request_time{5000};
  std::chrono::milliseconds answer_time{30000};  // to make it and to send it
};

class HttpServer {
 public:
  using Handler = std::function<HttpReply()>;       // called from one thread for each path
  using Handlers = std::map<std::string, Handler>;  // by path

  // `address`: "127.0.0.1:9464", "[::1]:9464", ":9464" (all IPv4 addresses); port 0 means any free port.
  // InvalidArgument: another form. Unavailable: listening there is not possible.
  static StatusOr<std::unique_ptr<HttpServer>> Start(const std::string& address, Handlers handlers,
                                                     HttpLimits limits = {});
  ~HttpServer();  // waits for answers in progress
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  int port() const;
  std::uint64_t dropped() const;  // connections that were too slow, or closed because of a limit

 private:
  class Loop;
  explicit HttpServer(std::unique_ptr<Loop> loop);
  const std::unique_ptr<Loop> loop_;
};

}  // namespace sluice::telemetry
