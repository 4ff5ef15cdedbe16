// A gRPC server on one address: the services that it is given, the standard health service and server reflection.
//   SL_ASSIGN_OR_RETURN(auto server, Server::Start(options, service->served()));
#pragma once

#include <memory>
#include <string>

#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>

#include "api/message_limit.h"
#include "api/tls.h"
#include "ctrl/api/admission.h"
#include "ctrl/api/served.h"

namespace sluice::api {

// The largest request of a caller that may only read.
inline constexpr int kMaxQuestionBytes = 64 << 10;

struct ServerOptions {
  std::string flag = "--api";           // the command line's name for `address`, for messages
  std::string tls_flags = "--api-tls";  // likewise, what the names for `tls` begin with
  std::string address;                  // "unix:///PATH", or IP:PORT with `tls`
  std::string change_group;             // by unix socket: its members may change, as root may; empty: none
  std::string read_group;               // by unix socket: its members may read
  TlsFiles tls;
  std::vector<std::string> tls_change_names;  // as Calls
  ConnectionLimits connections;
  CallLimits calls;

  // For another service of the same agent: the same rights, as far as they are for this kind of address.
  ServerOptions For(std::string other_flag, std::string other_address) const;
};

class Server {
 public:
  // InvalidArgument: TCP without TLS, wrong TLS files, an unknown group, an option for the other kind of address.
  // AlreadyExists, Unavailable: as Start, before anything is created.
  static Status Check(const ServerOptions& options);
  // AlreadyExists: another process answers there; Unavailable: cannot listen there.
  static StatusOr<std::unique_ptr<Server>> Start(const ServerOptions& options, Served served);
  // Ends all calls; followers must have been stopped before (Telemetry::Stop). Removes the socket file.
  ~Server();
  Server(const Server&) = delete;
  const Calls& calls() const { return *calls_; }
  Server& operator=(const Server&) = delete;

 private:
  Server(std::unique_ptr<Connections> connections, std::unique_ptr<Calls> calls, Served served)
      : connections_(std::move(connections)), calls_(std::move(calls)), served_(std::move(served)) {}
  StatusOr<std::unique_ptr<grpc::Server>> Build(int max_request_bytes,
                                                const std::shared_ptr<grpc::ServerCredentials>& tls);

  std::unique_ptr<Connections> connections_;
  std::unique_ptr<Calls> calls_;
  const Served served_;
  std::unique_ptr<TlsWatch> tls_watch_;
  std::unique_ptr<grpc::experimental::ExternalConnectionAcceptor> acceptor_;
  // Readers have a server of their own, so that they cannot use up the threads of callers that may change.
  std::unique_ptr<grpc::Server> changers_;
  std::unique_ptr<grpc::Server> readers_;
  std::unique_ptr<Admission> admission_;
};

}  // namespace sluice::api
