// A small HTTP server for GET requests on fixed paths. The only user of civetweb.
// Handlers are called from its threads, possibly several at once.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "ctrl/base/status.h"

struct mg_context;

namespace sluice::telemetry {

struct HttpReply {
  int code = 200;
  std::string content_type = "text/plain; charset=utf-8";
  std::string body;
};

class HttpServer {
 public:
  using Handler = std::function<HttpReply()>;
  using Handlers = std::map<std::string, Handler>;  // by path

  // `address`: "127.0.0.1:9464", "[::1]:9464", ":9464" (all addresses) or with port 0 (any). InvalidArgument when it is
  // none of these; Unavailable when nobody can listen there.
  static StatusOr<std::unique_ptr<HttpServer>> Start(const std::string& address, Handlers handlers);
  ~HttpServer();  // waits for requests that are being answered
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  int port() const;

 private:
  HttpServer(const std::string& address, Handlers handlers) : address_(address), handlers_(std::move(handlers)) {}

  const std::string address_;
  const Handlers handlers_;
  mg_context* context_ = nullptr;
};

}  // namespace sluice::telemetry
