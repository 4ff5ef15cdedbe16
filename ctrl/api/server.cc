#include "ctrl/api/server.h"

#include <grpc/support/log.h>
#include <grpcpp/ext/proto_server_reflection_plugin.h>
#include <grpcpp/health_check_service_interface.h>
#include <grpcpp/resource_quota.h>
#include <grpcpp/server_builder.h>
#include <grpcpp/server_posix.h>

#include <chrono>

#include "base/log.h"
#include "ctrl/api/reflection_limit.h"

namespace sluice::api {
namespace {

using namespace std::chrono_literals;

constexpr auto kStopTimeout = 2s;
// More than all concurrent calls (CallLimits), so that each short request finds a thread.
constexpr int kMaxThreads = 192;
// For messages of all connections that no call has yet: a message is complete before its caller's right is checked.
// Beyond this gRPC reads less, and then ends calls.
constexpr std::size_t kMaxBufferedBytes = 160U << 20;
constexpr int kMaxStreamsOfOneConnection = 64;
constexpr int kHandshakeMilliseconds = 10000;
// A connection without calls is closed after this time; a client reconnects for its next call.
constexpr int kIdleMilliseconds = 300000;
// Detects clients whose machine has gone.
constexpr int kKeepaliveMilliseconds = 60000;

// gRPC's own log lines, among them one for each unknown client at the TLS port.
void LogOfGrpc(gpr_log_func_args* args) { LogDebug("gRPC: {}", args->message); }

}  // namespace

ServerOptions ServerOptions::For(std::string other_flag, std::string other_address) const {
  ServerOptions other = *this;
  other.flag = std::move(other_flag);
  other.address = std::move(other_address);
  if (SocketPath(other.address).empty()) {
    other.change_group.clear();
    other.read_group.clear();
  } else {
    other.tls = {};
    other.tls_change_names.clear();
  }
  return other;
}

Status Server::Check(const ServerOptions& options) {
  const std::string& flag = options.flag;
  const bool unix_socket = !SocketPath(options.address).empty();
  SL_RETURN_IF_ERROR(UnixAccess::Resolve(options.change_group, options.read_group).status());
  if (unix_socket && !options.tls.empty()) {
    return InvalidError("{0} {1}: {2}-cert, {2}-key and {2}-ca are for TCP", flag, options.address, options.tls_flags);
  }
  if (unix_socket && !options.tls_change_names.empty()) {
    return InvalidError("{} {}: --api-tls-change-name is for TCP: by unix socket give --api-change-group", flag,
                        options.address);
  }
  if (!unix_socket && !(options.change_group.empty() && options.read_group.empty())) {
    return InvalidError(
        "{} {}: --api-change-group and --api-read-group are for unix sockets: by TCP give --api-tls-change-name", flag,
        options.address);
  }
  if (unix_socket) return Listener::CheckFree(options.address, flag);
  if (!options.tls.complete()) {
    return InvalidError(
        "{0} {1}: TCP is served only by mutual TLS: give {2}-cert, {2}-key and {2}-ca, or an address unix:///PATH",
        flag, options.address, options.tls_flags);
  }
  SL_RETURN_IF_ERROR(Annotate(CheckTls(options.tls), fmt::format("{0}-cert, {0}-key, {0}-ca", options.tls_flags)));
  return Listener::CheckFree(options.address, flag);
}

StatusOr<std::unique_ptr<grpc::Server>> Server::Build(int max_request_bytes,
                                                      const std::shared_ptr<grpc::ServerCredentials>& tls) {
  grpc::ServerBuilder builder;
  for (grpc::Service* const service : served_.services) builder.RegisterService(service);
  builder.SetMaxReceiveMessageSize(max_request_bytes);
  builder.SetMaxSendMessageSize(kMaxMessageBytes);
  builder.SetResourceQuota(grpc::ResourceQuota("api").SetMaxThreads(kMaxThreads).Resize(kMaxBufferedBytes));
  builder.AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS, kMaxStreamsOfOneConnection);
  builder.AddChannelArgument(GRPC_ARG_SERVER_HANDSHAKE_TIMEOUT_MS, kHandshakeMilliseconds);
  builder.AddChannelArgument(GRPC_ARG_MAX_CONNECTION_IDLE_MS, kIdleMilliseconds);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, kKeepaliveMilliseconds);
  std::vector<std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface>> interceptors;
  interceptors.push_back(std::make_unique<ReflectionLimit>(calls_.get()));
  builder.experimental().SetInterceptorCreators(std::move(interceptors));
  if (tls) {
    acceptor_ = builder.experimental().AddExternalConnectionAcceptor(
        grpc::ServerBuilder::experimental_type::ExternalConnectionType::FROM_FD, tls);
  }
  std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
  if (!server) return MakeError(absl::StatusCode::kInternal, "gRPC's server does not start");
  grpc::HealthCheckServiceInterface& health = *server->GetHealthCheckService();
  for (const std::string& name : served_.health) health.SetServingStatus(name, true);
  health.SetServingStatus(true);
  return server;
}

StatusOr<std::unique_ptr<Server>> Server::Start(const ServerOptions& options, Served served) {
  SL_RETURN_IF_ERROR(Check(options));
  SL_ASSIGN_OR_RETURN(const UnixAccess access, UnixAccess::Resolve(options.change_group, options.read_group));
  SL_ASSIGN_OR_RETURN(Listener listener, Listener::Open(options.address, access, options.flag));
  gpr_set_log_function(LogOfGrpc);
  grpc::EnableDefaultHealthCheckService(true);
  grpc::reflection::InitProtoReflectionServerBuilderPlugin();

  SL_ASSIGN_OR_RETURN(auto connections, Connections::Make(options.connections));
  auto calls = std::make_unique<Calls>(options.calls, connections.get(), options.tls_change_names);
  std::unique_ptr<Server> self(new Server(std::move(connections), std::move(calls), std::move(served)));
  self->served_.admit(self->calls_.get());
  self->calls_->OnRefusedChange(self->served_.refused);
  std::shared_ptr<grpc::ServerCredentials> tls;
  if (!listener.unix_socket()) {
    tls = MakeServerCredentials(options.tls);
    self->tls_watch_ = std::make_unique<TlsWatch>(options.tls);
  }
  SL_ASSIGN_OR_RETURN(self->changers_, self->Build(kMaxMessageBytes, tls));
  if (access.read) {
    SL_ASSIGN_OR_RETURN(self->readers_, self->Build(kMaxQuestionBytes, nullptr));
  }
  Server* const server = self.get();
  Admission::Options doors{.access = access, .let_in_unix = {}, .let_in_tcp = {}, .each_second = {}};
  doors.let_in_unix = [server](int fd, Right right) {
    grpc::AddInsecureChannelFromFd((right == Right::kChange ? server->changers_ : server->readers_).get(), fd);
  };
  doors.let_in_tcp = [server, listening = listener.fd()](int fd) {
    grpc::experimental::ExternalConnectionAcceptor::NewConnectionParameters connection;
    connection.listener_fd = listening;
    connection.fd = fd;
    server->acceptor_->HandleNewConnection(&connection);
  };
  if (self->tls_watch_) doors.each_second = [server] { server->tls_watch_->Look(); };
  SL_ASSIGN_OR_RETURN(self->admission_, Admission::Start(std::move(listener), std::move(doors), self->calls_.get()));
  return self;
}

Server::~Server() {
  admission_.reset();
  const auto deadline = std::chrono::system_clock::now() + kStopTimeout;
  if (changers_) changers_->Shutdown(deadline);
  if (readers_) readers_->Shutdown(deadline);
  served_.admit(nullptr);
}

}  // namespace sluice::api
