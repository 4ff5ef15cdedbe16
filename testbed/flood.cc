#include "testbed/flood.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <vector>

#include "testbed/netns.h"

namespace sluice::test {
namespace {

constexpr std::size_t kTcpChunk = 65536;
constexpr std::size_t kUdpChunk = 1400;
constexpr int kFloodConnectSeconds = 5;

sockaddr_in ToIpv4SocketAddress(const policy::Address& address, std::uint16_t port) {
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(port);
  std::memcpy(&to.sin_addr, address.bytes().data() + 12, sizeof(to.sin_addr));
  return to;
}

StatusOr<Fd> OpenServer(int type, std::uint16_t port) {
  Fd fd(socket(AF_INET, type | SOCK_CLOEXEC, 0));
  const int on = 1;
  setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  sockaddr_in any{};
  any.sin_family = AF_INET;
  any.sin_port = htons(port);
  if (bind(fd.get(), reinterpret_cast<sockaddr*>(&any), sizeof(any)) != 0) return ErrnoError(errno, "bind to {}", port);
  if (type == SOCK_STREAM && listen(fd.get(), 1) != 0) return ErrnoError(errno, "listen on {}", port);
  return fd;
}

StatusOr<Fd> OpenClient(int type, const policy::Address& server, std::uint16_t port) {
  Fd fd(socket(AF_INET, type | SOCK_CLOEXEC, 0));
  const timeval limit{kFloodConnectSeconds, 0};
  setsockopt(fd.get(), SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
  const sockaddr_in to = ToIpv4SocketAddress(server, port);
  if (connect(fd.get(), reinterpret_cast<const sockaddr*>(&to), sizeof(to)) == 0) return fd;
  return ErrnoError(errno, "connect to {} port {}", server.ToString(), port);
}

// Limits blocking calls, so that the threads notice in time that they should stop.
void LimitWaiting(int fd) {
  const timeval limit{0, 20000};
  setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
}

// The kernel's receive time of the packet; the current time when the message has none.
Flood::Time ArrivalOf(msghdr& message) {
  for (cmsghdr* control = CMSG_FIRSTHDR(&message); control != nullptr; control = CMSG_NXTHDR(&message, control)) {
    if (control->cmsg_level != SOL_SOCKET || control->cmsg_type != SCM_TIMESTAMPNS) continue;
    timespec stamp{};
    std::memcpy(&stamp, CMSG_DATA(control), sizeof(stamp));
    return std::chrono::seconds(stamp.tv_sec) + std::chrono::nanoseconds(stamp.tv_nsec);
  }
  return Flood::Now();
}

}  // namespace

Flood::Time Flood::Now() {
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  return std::chrono::seconds(now.tv_sec) + std::chrono::nanoseconds(now.tv_nsec);
}

StatusOr<std::unique_ptr<Flood>> Flood::Open(const Options& options) {
  const int type = options.tcp ? SOCK_STREAM : SOCK_DGRAM;
  Fd server, client;
  SL_RETURN_IF_ERROR(RunIn(options.server_netns_fd, [&]() -> Status {
    SL_ASSIGN_OR_RETURN(server, OpenServer(type, options.port));
    return OkStatus();
  }));
  SL_RETURN_IF_ERROR(RunIn(options.client_netns_fd, [&]() -> Status {
    SL_ASSIGN_OR_RETURN(client, OpenClient(type, options.server, options.port));
    return OkStatus();
  }));
  if (options.tcp) {
    Fd accepted(accept4(server.get(), nullptr, nullptr, SOCK_CLOEXEC));
    if (!accepted.valid()) return ErrnoError(errno, "accept on {}", options.port);
    server = std::move(accepted);
  }
  const int on = 1;
  setsockopt(server.get(), SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof(on));
  return std::unique_ptr<Flood>(new Flood(std::move(client), std::move(server)));
}

Flood::Flood(Fd client, Fd server) : client_(std::move(client)), server_(std::move(server)) {
  LimitWaiting(client_.get());
  LimitWaiting(server_.get());
  sender_ = std::thread([this] { Send(); });
  receiver_ = std::thread([this] { Receive(); });
}

Flood::~Flood() {
  stop_ = true;
  sender_.join();
  receiver_.join();
}

void Flood::Send() {
  int type = 0;
  socklen_t size = sizeof(type);
  getsockopt(client_.get(), SOL_SOCKET, SO_TYPE, &type, &size);
  const std::vector<char> chunk(type == SOCK_STREAM ? kTcpChunk : kUdpChunk);
  while (!stop_) {
    const ssize_t sent = send(client_.get(), chunk.data(), slow_ ? 1 : chunk.size(), MSG_NOSIGNAL);
    sends_++;
    if (sent < 0 && errno != EAGAIN && errno != ENOBUFS) ended_ = true;
    if (ended_) return;
    if (slow_) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
}

void Flood::Receive() {
  std::vector<char> buffer(kTcpChunk);
  while (!stop_) {
    std::array<char, 256> control;
    iovec piece{buffer.data(), buffer.size()};
    msghdr message{};
    message.msg_iov = &piece;
    message.msg_iovlen = 1;
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    const ssize_t got = recvmsg(server_.get(), &message, 0);
    if (got < 0 && errno == EAGAIN) continue;
    if (got <= 0) {
      ended_ = true;
      return;
    }
    last_arrival_ = ArrivalOf(message).count();
    bytes_ += static_cast<std::uint64_t>(got);
  }
}

}  // namespace sluice::test
