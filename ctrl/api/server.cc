#include "ctrl/api/server.h"

#include <grpcpp/ext/proto_server_reflection_plugin.h>
#include <grpcpp/health_check_service_interface.h>
#include <grpcpp/server_builder.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <cerrno>
#include <chrono>
#include <filesystem>

#include "ctrl/base/fd.h"

namespace sluice::api {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

constexpr std::string_view kUnix = "unix:";
constexpr auto kStopTimeout = 2s;

// The path of "unix:PATH" and "unix:///PATH"; empty: another kind of address.
std::string SocketPath(const std::string& address) {
  if (!address.starts_with(kUnix)) return "";
  const std::string path = address.substr(kUnix.size());
  return path.starts_with("//") ? path.substr(2) : path;
}

// 0: somebody answers there; else the errno of the attempt.
StatusOr<int> TryConnect(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof(address.sun_path)) {
    return InvalidError("{}: longer than the {} bytes that a unix socket's path may have", path,
                        sizeof(address.sun_path) - 1);
  }
  path.copy(address.sun_path, sizeof(address.sun_path) - 1);
  const Fd probe(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!probe.valid()) return ErrnoError(errno, "open a unix socket");
  return connect(probe.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0 ? 0 : errno;
}

// gRPC would take the socket of a running agent away from it.
Status PrepareSocket(const std::string& path) {
  SL_ASSIGN_OR_RETURN(const int error, TryConnect(path));
  if (error == 0) {
    return MakeError(absl::StatusCode::kAlreadyExists,
                     "{}: another agent answers there; stop it, or give this one an --api of its own", path);
  }
  std::error_code failed;
  fs::create_directories(fs::path(path).parent_path(), failed);
  if (failed) return ErrnoError(failed.value(), "create the directory of {}", path);
  return OkStatus();
}

}  // namespace

Status Server::CheckFree(const std::string& address) {
  const std::string path = SocketPath(address);
  return path.empty() ? OkStatus() : PrepareSocket(path);
}

Status Server::RemoveStale(const std::string& address) {
  const std::string path = SocketPath(address);
  std::error_code error;
  if (path.empty() || !fs::is_socket(path, error)) return OkStatus();
  SL_ASSIGN_OR_RETURN(const int answer, TryConnect(path));
  if (answer != ECONNREFUSED) return OkStatus();
  fs::remove(path, error);
  return error ? ErrnoError(error.value(), "remove {}", path) : OkStatus();
}

StatusOr<std::unique_ptr<Server>> Server::Start(const std::string& address, Service* service) {
  SL_RETURN_IF_ERROR(CheckFree(address));
  const std::string path = SocketPath(address);
  grpc::EnableDefaultHealthCheckService(true);
  grpc::reflection::InitProtoReflectionServerBuilderPlugin();
  grpc::ServerBuilder builder;
  int port = -1;
  builder.AddListeningPort(address, grpc::InsecureServerCredentials(), &port);
  builder.RegisterService(service);
  builder.SetMaxReceiveMessageSize(kMaxMessageBytes);
  builder.SetMaxSendMessageSize(kMaxMessageBytes);
  // The file must never be there with other rights than its owner's.
  const mode_t mask = umask(S_IRWXG | S_IRWXO);
  std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
  umask(mask);
  if (!server || port <= 0) {
    return MakeError(absl::StatusCode::kUnavailable, "--api {}: cannot listen there; expected unix:///PATH", address);
  }
  server->GetHealthCheckService()->SetServingStatus(true);
  return std::unique_ptr<Server>(new Server(std::move(server), path));
}

Server::~Server() {
  server_->Shutdown(std::chrono::system_clock::now() + kStopTimeout);
  std::error_code ignored;  // a file that stays is taken over by the next start
  if (!socket_path_.empty()) fs::remove(socket_path_, ignored);
}

}  // namespace sluice::api
