// The web page of this agent: the listening socket, the server, and who follows changes of the TLS files.
#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "api/tls.h"
#include "ctrl/api/listener.h"
#include "ctrl/web/access.h"
#include "ctrl/web/http_server.h"
#include "ctrl/web/requests.h"

namespace sluice::web {

struct WebOptions {
  std::string address;  // IP:PORT; empty: not served
  AccessOptions access;
  api::TlsFiles tls;  // without `ca`: clients present no certificate
};

class WebServer {
 public:
  // Before anything is started. InvalidArgument: no IP:PORT; nobody could have a right; an address that is not loopback
  // without TLS; TLS files or tokens that cannot be used. Unavailable: cannot listen there.
  static Status Check(const WebOptions& options);
  // Errors as Check, and as HttpServer::Start. `service` outlives the server.
  static StatusOr<std::unique_ptr<WebServer>> Start(const WebOptions& options, api::Service* service);
  ~WebServer();  // waits for requests that are being answered
  WebServer(const WebServer&) = delete;
  WebServer& operator=(const WebServer&) = delete;

 private:
  WebServer(WebOptions options, api::Listener listener, api::Service* service)
      : options_(std::move(options)), listener_(std::move(listener)), requests_(service, options_.access) {}
  StatusOr<TlsTexts> ReadTls() const;
  Status Serve();
  void FollowTls();

  const WebOptions options_;
  const api::Listener listener_;
  Requests requests_;
  TlsTexts tls_;                        // of server_
  std::unique_ptr<HttpServer> server_;  // after Start, only the follower replaces it
  std::mutex mutex_;
  std::condition_variable stopped_;
  bool stopping_ = false;  // by mutex_
  std::thread follower_;   // only with TLS
};

}  // namespace sluice::web
