// An HTTP server on 127.0.0.1 that does what a test tells it: TLS with HTTP/2 or HTTP/1.1, or HTTP/1.1 without TLS. A
// response may come in pieces, stop, or be broken off.
//
//   ScriptedServer server({.identity = MakeCertificate(ca)});
//   server.On("/api/v1/pods", [](const Exchange& e) { e.Reply(200, "{}"); });   // on the server's thread
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "tests/unit/kube/pki.h"

namespace sluice::kube {

struct Request {
  std::string method;
  std::string path;                            // without the query
  std::string query;                           // encoded
  std::map<std::string, std::string> headers;  // lower case; the authority is "host"
  std::string body;
  int http = 1;
  std::size_t connection = 0;  // counted from 1

  bool is_watch() const { return query.find("watch=true") != std::string::npos; }
};

class ScriptedServer;

// One request and its response. Copies are of the same one. Thread-safe: a test may keep it and go on later.
class Exchange {
 public:
  struct State;
  Exchange(ScriptedServer* server, std::shared_ptr<State> state) : server_(server), state_(std::move(state)) {}

  const Request& request() const;
  using Headers = std::map<std::string, std::string>;
  // The response header, with Content-Type application/json unless `headers` has another one.
  void Head(int code, Headers headers = {}) const;
  void Body(const std::string& data) const;
  // `chunk` so many times, each when the last one has been sent.
  void Repeat(const std::string& chunk, int times) const;
  void End() const;
  void Reply(int code, const std::string& body, Headers headers = {}) const;
  // Breaks the connection off, after what has been sent.
  void Drop() const;
  // HTTP/2: no new request on this connection, while running ones go on.
  void GoAway() const;
  bool closed() const;  // by the client

 private:
  ScriptedServer* server_;
  std::shared_ptr<State> state_;
};

class ScriptedServer {
 public:
  struct Options {
    std::optional<Identity> identity;  // none: no TLS
    std::string client_ca;             // PEM; not empty: clients need a certificate
    bool http2 = true;                 // with TLS
    int port = 0;                      // 0: any
  };
  using Script = std::function<void(const Exchange&)>;

  explicit ScriptedServer(Options options);
  ~ScriptedServer();
  ScriptedServer(const ScriptedServer&) = delete;
  ScriptedServer& operator=(const ScriptedServer&) = delete;

  int port() const { return port_; }
  std::string url() const;
  // Replaces the path's former script. Paths without one answer 404.
  void On(const std::string& path, Script script);
  // New connections get this certificate.
  void SetIdentity(const Identity& identity);
  void DropConnections();

  std::vector<Request> requests() const;
  std::size_t connections() const { return connections_; }
  // The server name of the last TLS connection.
  std::string server_name() const;

 private:
  friend class Exchange;
  class Connection;
  struct Tls;

  void Run();
  void Wake() const;
  void Accept();
  void Dispatch(const std::shared_ptr<Exchange::State>& state);

  Options options_;
  int listener_ = -1;
  int wake_read_ = -1;
  int wake_write_ = -1;
  int port_ = 0;
  std::unique_ptr<Tls> tls_;
  std::atomic<std::size_t> connections_ = 0;
  std::atomic<bool> stop_ = false;
  std::atomic<bool> drop_ = false;
  std::vector<std::unique_ptr<Connection>> open_;  // of the server's thread

  mutable std::mutex mutex_;  // of what follows, and of all exchanges' states
  std::map<std::string, Script> scripts_;
  std::vector<Request> requests_;
  std::string server_name_;
  std::optional<Identity> next_identity_;
  std::thread thread_;
};

}  // namespace sluice::kube
