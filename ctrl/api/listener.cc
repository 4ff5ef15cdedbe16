#include "ctrl/api/listener.h"

#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>

namespace sluice::api {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kUnix = "unix:";
constexpr int kBacklog = 128;

StatusOr<sockaddr_un> UnixAddress(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof(address.sun_path)) {
    return InvalidError("{}: longer than the {} bytes that a unix socket's path may have", path,
                        sizeof(address.sun_path) - 1);
  }
  path.copy(address.sun_path, sizeof(address.sun_path) - 1);
  return address;
}

// 0: a process answers there; else the errno of the attempt.
StatusOr<int> TryConnect(const std::string& path) {
  SL_ASSIGN_OR_RETURN(const sockaddr_un address, UnixAddress(path));
  const Fd probe(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!probe.valid()) return ErrnoError(errno, "open a unix socket");
  // EAGAIN: its queue is full, so a process listens.
  if (connect(probe.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0) return 0;
  return errno == EAGAIN ? 0 : errno;
}

Status CheckNobodyAnswers(const std::string& path, const std::string& flag) {
  SL_ASSIGN_OR_RETURN(const int error, TryConnect(path));
  if (error != 0) return OkStatus();
  return MakeError(absl::StatusCode::kAlreadyExists,
                   "{}: another agent answers there; stop it, or give this one its own {}", path, flag);
}

}  // namespace

std::string SocketPath(const std::string& address) {
  if (!address.starts_with(kUnix)) return "";
  const std::string path = address.substr(kUnix.size());
  return path.starts_with("//") ? path.substr(2) : path;
}

std::string AddressBeside(const std::string& api, const std::string& name) {
  const std::filesystem::path beside(SocketPath(api));
  const std::filesystem::path directory = beside.has_parent_path() ? beside.parent_path() : "/run/sluice";
  return "unix://" + (directory / name).string();
}

Status Listener::CheckFree(const std::string& address, const std::string& flag) {
  const std::string path = SocketPath(address);
  return path.empty() ? Open(address, {}, flag).status() : CheckNobodyAnswers(path, flag);
}

Status Listener::RemoveStale(const std::string& address) {
  const std::string path = SocketPath(address);
  std::error_code error;
  if (path.empty() || !fs::is_socket(path, error)) return OkStatus();
  SL_ASSIGN_OR_RETURN(const int answer, TryConnect(path));
  if (answer != ECONNREFUSED) return OkStatus();
  fs::remove(path, error);
  return error ? ErrnoError(error.value(), "remove {}", path) : OkStatus();
}

StatusOr<Listener> Listener::Open(const std::string& address, const UnixAccess& access, const std::string& flag) {
  Listener listener(SocketPath(address), access, flag);
  SL_RETURN_IF_ERROR(listener.unix_socket() ? listener.OpenUnix() : listener.OpenTcp(address));
  return listener;
}

Status Listener::OpenUnix() {
  SL_RETURN_IF_ERROR(CheckNobodyAnswers(path_, flag_));
  std::error_code failed;
  fs::create_directories(fs::path(path_).parent_path(), failed);
  if (failed) return ErrnoError(failed.value(), "create the directory of {}", path_);
  SL_RETURN_IF_ERROR(RemoveStale(kUnix.data() + path_));
  SL_ASSIGN_OR_RETURN(const sockaddr_un address, UnixAddress(path_));
  Fd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd.valid()) return ErrnoError(errno, "open a unix socket");
  // The file must never exist with rights for others: it gets the socket's mode.
  if (fchmod(fd.get(), S_IRUSR | S_IWUSR) != 0) return ErrnoError(errno, "set the mode of {}", path_);
  if (bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) {
    return MakeError(absl::StatusCode::kUnavailable, "{} unix://{}: cannot listen there: {}", flag_, path_,
                     std::generic_category().message(errno));
  }
  struct stat facts {};
  if (stat(path_.c_str(), &facts) != 0) return ErrnoError(errno, "look at {}", path_);
  device_ = facts.st_dev;
  inode_ = facts.st_ino;
  // With groups all users may connect: a file has only one group, and the agent may lack the right to set it. Admission
  // checks the credentials of each connection.
  constexpr mode_t kAll = S_IRUSR | S_IWUSR | S_IRGRP | S_IWGRP | S_IROTH | S_IWOTH;
  if ((access_.change || access_.read) && chmod(path_.c_str(), kAll) != 0) {
    return ErrnoError(errno, "set the mode of {}", path_);
  }
  if (listen(fd.get(), kBacklog) != 0) return ErrnoError(errno, "listen on {}", path_);
  socket_ = std::move(fd);
  return OkStatus();
}

Status Listener::OpenTcp(const std::string& address) {
  std::string host = address;
  for (const std::string_view scheme : {"ipv4:", "ipv6:", "dns:///", "dns:"}) {
    if (host.starts_with(scheme)) host.erase(0, scheme.size());
  }
  const std::size_t colon = host.rfind(':');
  Status no_address = InvalidError("{} {}: expected unix:///PATH, or IP:PORT with TLS", flag_, address);
  if (colon == std::string::npos || host.find("//") != std::string::npos) return no_address;
  const std::string port = host.substr(colon + 1);
  host.resize(colon);
  if (host.starts_with('[') && host.ends_with(']')) {
    host = host.substr(1, host.size() - 2);
  } else if (host.find(':') != std::string::npos) {
    return no_address;
  }
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
  addrinfo* found = nullptr;
  if (const int error = getaddrinfo(host.empty() ? nullptr : host.c_str(), port.c_str(), &hints, &found); error != 0) {
    return InvalidError("{}: {}", Message(no_address), gai_strerror(error));
  }
  const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> addresses(found, freeaddrinfo);
  Fd fd(socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  constexpr int kOn = 1;
  if (!fd.valid() || setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &kOn, sizeof(kOn)) != 0 ||
      bind(fd.get(), found->ai_addr, found->ai_addrlen) != 0 || listen(fd.get(), kBacklog) != 0) {
    return MakeError(absl::StatusCode::kUnavailable, "{} {}: cannot listen there: {}", flag_, address,
                     std::generic_category().message(errno));
  }
  socket_ = std::move(fd);
  return OkStatus();
}

bool Listener::Stands() const {
  struct stat facts {};
  return stat(path_.c_str(), &facts) == 0 && facts.st_dev == device_ && facts.st_ino == inode_;
}

StatusOr<bool> Listener::Restore() {
  if (!unix_socket() || Stands()) return false;
  SL_RETURN_IF_ERROR(OpenUnix());
  return true;
}

Listener::~Listener() {
  if (socket_.valid() && unix_socket() && Stands()) unlink(path_.c_str());
}

}  // namespace sluice::api
