#include "ctrl/api/admission.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>

#include "base/log.h"

namespace sluice::api {
namespace {

using Clock = std::chrono::steady_clock;
using namespace std::chrono_literals;

constexpr auto kTick = 1s;
// Pause after an error that would repeat at once: no descriptors, no memory.
constexpr auto kAcceptAgain = 100ms;
// Between two log lines about refused connections; all are counted.
constexpr auto kTellAgain = 10s;

// As gRPC names the peer (grpc_sockaddr_to_uri): the brackets of an IPv6 address are percent-encoded.
std::string GrpcName(const sockaddr_storage& address, std::string* host) {
  char text[INET6_ADDRSTRLEN] = "";
  if (address.ss_family == AF_INET) {
    const auto& v4 = reinterpret_cast<const sockaddr_in&>(address);
    *host = inet_ntop(AF_INET, &v4.sin_addr, text, sizeof(text));
    return fmt::format("ipv4:{}:{}", *host, ntohs(v4.sin_port));
  }
  const auto& v6 = reinterpret_cast<const sockaddr_in6&>(address);
  // gRPC shows a mapped address as what it is.
  if (IN6_IS_ADDR_V4MAPPED(&v6.sin6_addr)) {
    *host = inet_ntop(AF_INET, &v6.sin6_addr.s6_addr[12], text, sizeof(text));
    return fmt::format("ipv4:{}:{}", *host, ntohs(v6.sin6_port));
  }
  *host = inet_ntop(AF_INET6, &v6.sin6_addr, text, sizeof(text));
  return fmt::format("ipv6:%5B{}%5D:{}", *host, ntohs(v6.sin6_port));
}

}  // namespace

StatusOr<std::unique_ptr<Admission>> Admission::Start(Listener listener, Options options, Calls* calls) {
  Fd stop(eventfd(0, EFD_CLOEXEC));
  if (!stop.valid()) return ErrnoError(errno, "eventfd");
  std::unique_ptr<Admission> self(new Admission(std::move(listener), std::move(options), calls, std::move(stop)));
  self->thread_ = std::thread(&Admission::Run, self.get());
  return self;
}

Admission::~Admission() {
  static_cast<void>(eventfd_write(stop_.get(), 1));
  if (thread_.joinable()) thread_.join();
}

void Admission::Run() {
  Clock::time_point accept_from{};
  Clock::time_point tick = Clock::now() + kTick;
  while (true) {
    const bool accepting = Clock::now() >= accept_from;
    pollfd polled[] = {{stop_.get(), POLLIN, 0},
                       {calls_->connections().poll_fd(), POLLIN, 0},
                       {accepting ? listener_.fd() : -1, POLLIN, 0}};
    const auto until = accepting ? tick : std::min(tick, accept_from);
    const auto wait = std::chrono::ceil<std::chrono::milliseconds>(until - Clock::now()).count();
    if (poll(polled, std::size(polled), static_cast<int>(std::max<std::int64_t>(0, wait))) < 0 && errno != EINTR)
      return;
    if (polled[0].revents != 0) return;
    if (polled[1].revents != 0) calls_->connections().Tend(Clock::now());
    if (polled[2].revents != 0 && !AcceptAll()) accept_from = Clock::now() + kAcceptAgain;
    if (Clock::now() < tick) continue;
    tick = Clock::now() + kTick;
    EachSecond();
  }
}

void Admission::EachSecond() {
  calls_->connections().Tend(Clock::now());
  calls_->EndSlow(Clock::now());
  const auto restored = listener_.Restore();
  if (restored.ok() && *restored) LogWarn("the API's socket file was gone and is restored");
  const std::string problem = restored.ok() ? "" : Message(restored.status());
  if (problem != restore_problem_ && !restored.ok()) LogError("the API's socket file is gone: {}", problem);
  restore_problem_ = problem;
  if (options_.each_second) options_.each_second();
}

// False: there may be more, but accepting fails now.
bool Admission::AcceptAll() {
  while (true) {
    Fd socket(accept4(listener_.fd(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (!socket.valid()) {
      if (errno == EINTR || errno == ECONNABORTED) continue;
      return errno == EAGAIN;
    }
    if (listener_.unix_socket()) {
      LetInUnix(std::move(socket));
    } else {
      LetInTcp(std::move(socket));
    }
  }
}

void Admission::LetInUnix(Fd socket) {
  auto caller = options_.access.Identify(socket.get());
  if (!caller.ok()) return Refuse(Refusal::kConnectionRight, Message(caller.status()));
  if (caller->right == Right::kNone) {
    calls_->Count(Refusal::kConnectionRight);
    return calls_->ReportRefused("connect", *caller, caller->name + " is in no group that may use this API");
  }
  const Right right = caller->right;
  const auto fd = calls_->connections().TakeInUnix(std::move(socket), *std::move(caller));
  if (!fd.ok()) return Refuse(Refusal::kConnectionLimit, Message(fd.status()));
  options_.let_in_unix(*fd, right);
}

void Admission::LetInTcp(Fd socket) {
  sockaddr_storage address{};
  socklen_t size = sizeof(address);
  if (getpeername(socket.get(), reinterpret_cast<sockaddr*>(&address), &size) != 0) return;  // it has gone
  constexpr int kOn = 1;
  setsockopt(socket.get(), IPPROTO_TCP, TCP_NODELAY, &kOn, sizeof(kOn));
  Caller caller;
  const std::string peer = GrpcName(address, &caller.share);
  caller.name = peer;
  const auto fd = calls_->connections().TakeInTcp(std::move(socket), std::move(caller), peer);
  if (!fd.ok()) return Refuse(Refusal::kConnectionLimit, Message(fd.status()));
  options_.let_in_tcp(*fd);
}

void Admission::Refuse(Refusal refusal, const std::string& what) {
  calls_->Count(refusal);
  if (Clock::now() - told_ < kTellAgain) return;
  told_ = Clock::now();
  LogWarn("a connection to the API is refused: {}", what);
}

}  // namespace sluice::api
