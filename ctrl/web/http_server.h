// HTTP/1.1 and HTTPS for the page, by GNU libmicrohttpd, which only this file's .cc knows. A few threads serve all
// connections, so an idle or slow client holds no thread. Bounded: connections, of one client too; headers; bodies; and
// how long a connection may be idle.
//   SL_ASSIGN_OR_RETURN(auto server, HttpServer::Start(listener.fd(), {}, handler));
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>

#include "base/status.h"
#include "ctrl/web/http.h"

struct MHD_Daemon;

namespace sluice::web {

struct HttpLimits {
  unsigned connections = 64;
  unsigned connections_of_one = 48;    // of one address
  unsigned threads = 4;                // requests that are answered at the same time
  unsigned head_bytes = 16U << 10U;    // the request line and all headers
  std::size_t body_bytes = 1U << 20U;  // of a request
  std::chrono::seconds idle{20};
};

// PEM texts; an empty certificate: no TLS. With `ca`, clients may present a certificate that it signed.
struct TlsTexts {
  std::string certificate;
  std::string key;
  std::string ca;
};

class HttpServer {
 public:
  // `listener` is a TCP socket that listens already; the caller keeps it, also for the next server there. Unavailable:
  // the library refuses to start, for example because of the TLS texts.
  static StatusOr<std::unique_ptr<HttpServer>> Start(int listener, TlsTexts tls, HttpHandler handler,
                                                     HttpLimits limits = {});
  ~HttpServer();  // waits for requests that are being answered, and closes all connections
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

 private:
  struct Callbacks;
  HttpServer(TlsTexts tls, HttpHandler handler, HttpLimits limits)
      : tls_(std::move(tls)), handler_(std::move(handler)), limits_(limits) {}

  const TlsTexts tls_;
  const HttpHandler handler_;
  const HttpLimits limits_;
  MHD_Daemon* daemon_ = nullptr;
};

}  // namespace sluice::web
