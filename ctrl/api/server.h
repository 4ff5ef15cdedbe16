// The gRPC server: sluice.v1.Sluice, the standard health service and server reflection, on one address.
#pragma once

#include <memory>
#include <string>

#include <grpcpp/server.h>

#include "ctrl/api/service.h"

namespace sluice::api {

// Of one message in either direction: a large `apply` is one message.
inline constexpr int kMaxMessageBytes = 256 << 20;

class Server {
 public:
  // Whether Start would find the address free. AlreadyExists: another agent answers there.
  static Status CheckFree(const std::string& address);
  // Removes the socket's file that an agent left which was killed. What somebody listens on stays, as do other files.
  static Status RemoveStale(const std::string& address);
  // `address`: "unix:///PATH" (its directory is made; only this user may connect), or whatever gRPC listens on.
  // AlreadyExists: somebody answers there; Unavailable: gRPC cannot listen there. `service` outlives the server.
  static StatusOr<std::unique_ptr<Server>> Start(const std::string& address, Service* service);
  // Ends all calls; followers must have been told before (Telemetry::Stop). Removes the socket's file.
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

 private:
  Server(std::unique_ptr<grpc::Server> server, std::string socket_path)
      : server_(std::move(server)), socket_path_(std::move(socket_path)) {}

  std::unique_ptr<grpc::Server> server_;
  const std::string socket_path_;  // empty: no unix socket
};

}  // namespace sluice::api
