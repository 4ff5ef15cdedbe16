#include "testbed/traffic.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <functional>

#include "testbed/netns.h"

namespace sluice::test {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t kChunk = 512;  // bytes that a stream sends at once, each way
constexpr auto kStreamInterval = std::chrono::microseconds(500);
constexpr int kConnectSeconds = 5;

struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t size = 0;
  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
};

SocketAddress ToSocketAddress(const policy::Address& address, std::uint16_t port) {
  SocketAddress to;
  const auto& bytes = address.bytes();
  if (address.is_v4()) {
    sockaddr_in v4{};
    v4.sin_family = AF_INET;
    v4.sin_port = htons(port);
    std::memcpy(&v4.sin_addr, bytes.data() + 12, sizeof(v4.sin_addr));
    std::memcpy(&to.storage, &v4, sizeof(v4));
    to.size = sizeof(v4);
    return to;
  }
  sockaddr_in6 v6{};
  v6.sin6_family = AF_INET6;
  v6.sin6_port = htons(port);
  std::memcpy(&v6.sin6_addr, bytes.data(), sizeof(v6.sin6_addr));
  std::memcpy(&to.storage, &v6, sizeof(v6));
  to.size = sizeof(v6);
  return to;
}

StatusOr<Fd> OpenBound(int type, std::uint16_t port) {
  Fd fd(socket(AF_INET6, type | SOCK_CLOEXEC, 0));
  if (!fd.valid()) return ErrnoError(errno, "socket for port {}", port);
  const int on = 1;
  const int off = 0;
  setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  setsockopt(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
  sockaddr_in6 any{};
  any.sin6_family = AF_INET6;
  any.sin6_port = htons(port);
  if (bind(fd.get(), reinterpret_cast<sockaddr*>(&any), sizeof(any)) != 0) {
    return ErrnoError(errno, "bind to port {}", port);
  }
  return fd;
}

char PatternByte(std::uint64_t offset) { return static_cast<char>((offset * 131U + (offset >> 8U)) & 0xffU); }

std::uint32_t Retransmits(int fd) {
  tcp_info info{};
  socklen_t size = sizeof(info);
  return getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) == 0 ? info.tcpi_total_retrans : 0;
}

}  // namespace

StatusOr<std::unique_ptr<EchoServer>> EchoServer::Start(int netns_fd, const std::vector<std::uint16_t>& ports) {
  std::unique_ptr<EchoServer> server(new EchoServer());
  server->ports_ = ports;
  server->stop_ = Fd(eventfd(0, EFD_CLOEXEC));
  if (!server->stop_.valid()) return ErrnoError(errno, "eventfd");
  SL_RETURN_IF_ERROR(RunIn(netns_fd, [&]() -> Status {
    for (const std::uint16_t port : ports) {
      SL_ASSIGN_OR_RETURN(Fd fd, OpenBound(SOCK_DGRAM | SOCK_NONBLOCK, port));
      const int buffer = 4 << 20;  // a busy machine must not lose packets that the packet path forwarded
      setsockopt(fd.get(), SOL_SOCKET, SO_RCVBUFFORCE, &buffer, sizeof(buffer));
      server->sockets_.push_back(std::move(fd));
    }
    return OkStatus();
  }));
  server->thread_ = std::thread([raw = server.get()] { raw->Serve(); });
  return server;
}

EchoServer::~EchoServer() {
  if (!thread_.joinable()) return;
  eventfd_write(stop_.get(), 1);
  thread_.join();
}

void EchoServer::Serve() {
  std::vector<pollfd> polled;
  for (const Fd& fd : sockets_) polled.push_back({fd.get(), POLLIN, 0});
  polled.push_back({stop_.get(), POLLIN, 0});
  std::array<char, 2048> buffer;
  while (poll(polled.data(), polled.size(), -1) >= 0 || errno == EINTR) {
    if (polled.back().revents != 0) return;
    for (std::size_t i = 0; i < sockets_.size(); ++i) {
      if (polled[i].revents == 0) continue;
      sockaddr_in6 from{};
      socklen_t size = sizeof(from);
      const ssize_t got =
          recvfrom(polled[i].fd, buffer.data(), buffer.size(), 0, reinterpret_cast<sockaddr*>(&from), &size);
      if (got < 0) continue;
      {
        sl_addr source{};
        std::memcpy(&source, &from.sin6_addr, sizeof(source));
        const std::lock_guard lock(mutex_);
        by_port_[ports_[i]]++;
        by_source_[policy::Address(source)]++;
      }
      (void)!sendto(polled[i].fd, buffer.data(), static_cast<std::size_t>(got), 0,
                    reinterpret_cast<const sockaddr*>(&from), size);
    }
  }
}

std::uint64_t EchoServer::Received(std::uint16_t port) const {
  const std::lock_guard lock(mutex_);
  const auto found = by_port_.find(port);
  return found == by_port_.end() ? 0 : found->second;
}

std::uint64_t EchoServer::ReceivedFrom(const policy::Address& source) const {
  const std::lock_guard lock(mutex_);
  const auto found = by_source_.find(source);
  return found == by_source_.end() ? 0 : found->second;
}

StatusOr<std::unique_ptr<Pinger>> Pinger::Start(const Options& options) {
  std::unique_ptr<Pinger> pinger(new Pinger(options));
  pinger->thread_ = std::thread([raw = pinger.get()] {
    // A setns error shows up as lost datagrams.
    RunIn(raw->options_.netns_fd, [raw] {
      raw->Run();
      return OkStatus();
    }).IgnoreError();
  });
  return pinger;
}

void Pinger::Stop() {
  stop_ = true;
  if (thread_.joinable()) thread_.join();
}

Fd Pinger::OpenSocket() const {
  Fd fd(socket(options_.destination.is_v4() ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  const SocketAddress to = ToSocketAddress(options_.destination, options_.port);
  if (fd.valid() && connect(fd.get(), to.get(), to.size) != 0) return Fd();
  return fd;
}

bool Pinger::Ping(int fd, std::uint64_t number) const {
  if (send(fd, &number, sizeof(number), 0) < 0) return false;
  const auto deadline = Clock::now() + options_.patience;
  for (;;) {
    pollfd polled{fd, POLLIN, 0};
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now()).count();
    if (left <= 0 || poll(&polled, 1, static_cast<int>(left)) <= 0) return false;
    std::uint64_t answer = 0;
    // A late answer belongs to a datagram that was already counted as lost.
    if (recv(fd, &answer, sizeof(answer), 0) == sizeof(answer) && answer == number) return true;
  }
}

void Pinger::Run() {
  Fd fd = OpenSocket();
  while (!stop_) {
    if (options_.new_flows) fd = OpenSocket();
    const std::uint64_t number = ++sent_;
    (Ping(fd.get(), number) ? answered_ : lost_)++;
    std::this_thread::sleep_for(options_.interval);
  }
}

StatusOr<std::unique_ptr<Stream>> Stream::Open(const Options& options) {
  Fd listener;
  SL_RETURN_IF_ERROR(RunIn(options.server_netns_fd, [&]() -> Status {
    SL_ASSIGN_OR_RETURN(listener, OpenBound(SOCK_STREAM, options.port));
    return listen(listener.get(), 1) == 0 ? OkStatus() : ErrnoError(errno, "listen on port {}", options.port);
  }));
  Fd client;
  SL_RETURN_IF_ERROR(RunIn(options.client_netns_fd, [&]() -> Status {
    client = Fd(socket(options.server.is_v4() ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const timeval limit{kConnectSeconds, 0};
    setsockopt(client.get(), SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
    const SocketAddress to = ToSocketAddress(options.server, options.port);
    if (connect(client.get(), to.get(), to.size) == 0) return OkStatus();
    return ErrnoError(errno, "connect to {} port {}", options.server.ToString(), options.port);
  }));
  Fd server(accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
  if (!server.valid()) return ErrnoError(errno, "accept on port {}", options.port);
  return std::unique_ptr<Stream>(new Stream(std::move(client), std::move(server)));
}

Stream::Stream(Fd client, Fd server) : ends_{std::move(client), std::move(server)} {
  thread_ = std::thread([this] { Run(); });
}

Stream::~Stream() {
  stop_ = true;
  thread_.join();
}

void Stream::Fail(const std::string& problem) {
  const std::lock_guard lock(mutex_);
  if (report_.problem.empty()) report_.problem = problem;
}

bool Stream::Send(int end) {
  std::uint64_t offset;
  {
    const std::lock_guard lock(mutex_);
    offset = report_.sent[end];
  }
  std::array<char, kChunk> chunk;
  for (std::size_t i = 0; i < kChunk; ++i) chunk[i] = PatternByte(offset + i);
  const ssize_t sent = send(ends_[end].get(), chunk.data(), chunk.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
  if (sent < 0 && errno == EAGAIN) return true;
  if (sent < 0) {
    Fail(fmt::format("end {}: send: {}", end, std::strerror(errno)));
    return false;
  }
  const std::lock_guard lock(mutex_);
  report_.sent[end] += static_cast<std::uint64_t>(sent);
  return true;
}

bool Stream::Receive(int end) {
  const int sender = 1 - end;
  std::array<char, 16384> buffer;
  const ssize_t got = recv(ends_[end].get(), buffer.data(), buffer.size(), MSG_DONTWAIT);
  if (got < 0 && errno == EAGAIN) return true;
  if (got <= 0) {
    Fail(fmt::format("end {}: receive: {}", end, got == 0 ? "the other end has closed" : std::strerror(errno)));
    return false;
  }
  const std::lock_guard lock(mutex_);
  for (ssize_t i = 0; i < got; ++i) {
    const std::uint64_t offset = report_.received[sender]++;
    if (buffer[static_cast<std::size_t>(i)] == PatternByte(offset)) continue;
    if (report_.problem.empty()) report_.problem = fmt::format("end {}: byte {} is wrong", end, offset);
    return false;
  }
  return true;
}

void Stream::Run() {
  while (!stop_) {
    for (const int end : {0, 1}) {
      if ((sending_ && !Send(end)) || !Receive(end)) return;
    }
    std::this_thread::sleep_for(kStreamInterval);
  }
}

Stream::Report Stream::report() const {
  const std::lock_guard lock(mutex_);
  Report report = report_;
  for (const Fd& end : ends_) report.retransmits += Retransmits(end.get());
  return report;
}

Stream::Report Stream::Finish(std::chrono::milliseconds patience) {
  sending_ = false;
  const auto deadline = Clock::now() + patience;
  std::this_thread::sleep_for(2 * kStreamInterval);
  for (;;) {
    const Report now = report();
    const bool complete = now.received[0] == now.sent[0] && now.received[1] == now.sent[1];
    if (complete || !now.problem.empty() || Clock::now() >= deadline) return now;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
}

}  // namespace sluice::test
