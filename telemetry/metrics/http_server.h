// A small HTTP/1.1 server for GET requests on fixed paths, which strangers may reach: one thread moves all bytes, each
// path is answered by a thread of its own, so that none waits for another, and requests for one path that come at
// the same time share one answer. A request has to be there within seconds, and an answer to be taken. One path's
// askers have half of the places, and one client (an IPv4 address, an IPv6 prefix of 64 bits) three quarters of all and
// of a path's. Where there are too many, the oldest that has not asked yet gives way: the client's own where it has its
// share, else of who has most.
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
  std::size_t request_bytes = 8192;  // with all headers
  std::chrono::milliseconds request_time{5000};
  std::chrono::milliseconds answer_time{30000};  // making it and sending it
};

class HttpServer {
 public:
  using Handler = std::function<HttpReply()>;       // from one thread a path
  using Handlers = std::map<std::string, Handler>;  // by path

  // `address`: "127.0.0.1:9464", "[::1]:9464", ":9464" (all IPv4 addresses) or with port 0 (any). InvalidArgument when
  // it is none of these; Unavailable when nobody can listen there.
  static StatusOr<std::unique_ptr<HttpServer>> Start(const std::string& address, Handlers handlers,
                                                     HttpLimits limits = {});
  ~HttpServer();  // waits for requests that are being answered
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  int port() const;
  std::uint64_t dropped() const;  // connections that were too slow, or gave way

 private:
  class Loop;
  explicit HttpServer(std::unique_ptr<Loop> loop);
  const std::unique_ptr<Loop> loop_;
};

}  // namespace sluice::telemetry
