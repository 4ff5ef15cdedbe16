#include "tests/netns/datapath/conversation.h"

#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <vector>

namespace sluice::test {
namespace {

constexpr int kPatience = 2000;  // milliseconds

sockaddr_in6 SocketAddress(const policy::Address& address, std::uint16_t port) {
  sockaddr_in6 out{.sin6_family = AF_INET6, .sin6_port = htons(port)};
  std::memcpy(&out.sin6_addr, address.bytes().data(), 16);
  return out;
}

bool Waits(int fd, short events, int milliseconds = kPatience) {
  pollfd polled{fd, events, 0};
  return poll(&polled, 1, milliseconds) == 1 && (polled.revents & events) != 0;
}

StatusOr<Fd> Socket(const TestNetNs& netns, bool is_tcp, const std::function<int(int fd)>& prepare) {
  Fd fd;
  SL_RETURN_IF_ERROR(netns.Run([&]() -> Status {
    fd = Fd(socket(AF_INET6, (is_tcp ? SOCK_STREAM : SOCK_DGRAM) | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!fd.valid() || prepare(fd.get()) != 0) return ErrnoError(errno, "prepare a socket in {}", netns.name());
    return OkStatus();
  }));
  return fd;
}

// Receives this many bytes, in any number of pieces.
bool Receive(int fd, std::size_t bytes) {
  std::vector<char> buffer(bytes);
  while (bytes > 0) {
    if (!Waits(fd, POLLIN)) return false;
    const ssize_t got = recv(fd, buffer.data(), bytes, 0);
    if (got <= 0) return false;
    bytes -= static_cast<std::size_t>(got);
  }
  return true;
}

bool Send(int fd, std::size_t bytes) {
  const std::vector<char> buffer(bytes, 'x');
  return send(fd, buffer.data(), bytes, MSG_NOSIGNAL) == static_cast<ssize_t>(bytes);
}

}  // namespace

StatusOr<std::unique_ptr<Conversation>> Conversation::Open(const Ends& ends) {
  std::unique_ptr<Conversation> talk(new Conversation());
  const bool is_tcp = talk->is_tcp_ = ends.protocol == policy::kTcp;
  const sockaddr_in6 any = SocketAddress(policy::Address(std::array<std::uint8_t, 16>{}),
                                         ends.server_port != 0 ? ends.server_port : ends.port);
  const sockaddr_in6 to = SocketAddress(ends.to, ends.port);
  SL_ASSIGN_OR_RETURN(Fd listener, Socket(*ends.server, is_tcp, [&](int fd) {
                        const int on = 1;
                        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
                        if (bind(fd, reinterpret_cast<const sockaddr*>(&any), sizeof(any)) != 0) return -1;
                        return is_tcp ? listen(fd, 1) : 0;
                      }));
  SL_ASSIGN_OR_RETURN(talk->client_, Socket(*ends.client, is_tcp, [&](int fd) {
                        const int rc = connect(fd, reinterpret_cast<const sockaddr*>(&to), sizeof(to));
                        return rc == 0 || errno == EINPROGRESS ? 0 : -1;
                      }));
  sockaddr_in6 own{};
  socklen_t length = sizeof(own);
  getsockname(talk->client_.get(), reinterpret_cast<sockaddr*>(&own), &length);
  talk->client_port_ = ntohs(own.sin6_port);
  const Status silent = Status(absl::StatusCode::kDeadlineExceeded, "nobody answered");
  if (is_tcp) {
    if (!Waits(listener.get(), POLLIN)) return silent;
    talk->server_ = Fd(accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (!Waits(talk->client_.get(), POLLOUT)) return silent;
    return talk;
  }
  sockaddr_in6 from{};
  length = sizeof(from);
  char hello = 0;
  if (!Send(talk->client_.get(), 1) || !Waits(listener.get(), POLLIN)) return silent;
  if (recvfrom(listener.get(), &hello, 1, 0, reinterpret_cast<sockaddr*>(&from), &length) != 1 ||
      connect(listener.get(), reinterpret_cast<const sockaddr*>(&from), sizeof(from)) != 0)
    return ErrnoError(errno, "answer the first datagram");
  talk->server_ = std::move(listener);
  if (!Send(talk->server_.get(), 1) || !Receive(talk->client_.get(), 1)) return silent;
  return talk;
}

bool Conversation::Exchange(std::size_t bytes) {
  return Send(client_.get(), bytes) && Receive(server_.get(), bytes) && Send(server_.get(), bytes) &&
         Receive(client_.get(), bytes);
}

bool Conversation::Close() {
  if (!is_tcp_) return true;
  char none = 0;
  shutdown(client_.get(), SHUT_WR);
  if (!Waits(server_.get(), POLLIN) || recv(server_.get(), &none, 1, 0) != 0) return false;
  shutdown(server_.get(), SHUT_WR);
  return Waits(client_.get(), POLLIN) && recv(client_.get(), &none, 1, 0) == 0;
}

}  // namespace sluice::test
