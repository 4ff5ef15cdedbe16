#include "perf/kube/probe_flow.h"

#include <arpa/inet.h>
#include <poll.h>
#include <sys/socket.h>

#include <cerrno>
#include <ctime>

#include "perf/orderly_end.h"

namespace sluice::perf {
namespace {

constexpr std::uint16_t kProbeUdpPort = 5000;
constexpr auto kProbePatience = std::chrono::seconds(30);
constexpr auto kSilence = std::chrono::milliseconds(200);
constexpr timespec kBetweenProbes{.tv_sec = 0, .tv_nsec = 100'000};

StatusOr<Fd> UdpSocket() {
  Fd made(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!made.valid()) return ErrnoError(errno, "make a UDP socket");
  return made;
}

}  // namespace

StatusOr<ProbeFlow> ProbeFlow::Create(const test::TestNode& node, const std::string& from, const std::string& to) {
  sockaddr_in address{.sin_family = AF_INET, .sin_port = htons(kProbeUdpPort), .sin_addr = {}, .sin_zero = {}};
  if (inet_pton(AF_INET, node.pod(to).ip4.c_str(), &address.sin_addr) != 1)
    return InvalidError("pod {} has no IPv4 address", to);
  Fd client, server;
  SL_RETURN_IF_ERROR(node.RunIn(node.pod(to), [&]() -> Status {
    SL_ASSIGN_OR_RETURN(server, UdpSocket());
    if (bind(server.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0) return OkStatus();
    return ErrnoError(errno, "bind in pod {}", to);
  }));
  SL_RETURN_IF_ERROR(node.RunIn(node.pod(from), [&]() -> Status {
    SL_ASSIGN_OR_RETURN(client, UdpSocket());
    if (connect(client.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0) return OkStatus();
    return ErrnoError(errno, "connect in pod {}", from);
  }));
  return ProbeFlow(std::move(client), std::move(server));
}

bool ProbeFlow::SendAndReceive() {
  char byte = 'x';
  static_cast<void>(send(client_.get(), &byte, 1, 0));
  pollfd waiting{.fd = server_.get(), .events = POLLIN, .revents = 0};
  ppoll(&waiting, 1, &kBetweenProbes, nullptr);
  return recv(server_.get(), &byte, 1, 0) == 1;
}

StatusOr<Clock::time_point> ProbeFlow::FirstArrival() {
  for (const auto end = Clock::now() + kProbePatience; Clock::now() < end;) {
    SL_RETURN_IF_ERROR(OrderlyEnd::Check());
    if (SendAndReceive()) return Clock::now();
  }
  return MakeError(absl::StatusCode::kDeadlineExceeded, "no datagram arrives, which policy should allow");
}

Status ProbeFlow::AwaitSilence() {
  auto last = Clock::now();
  for (const auto end = last + kProbePatience; Clock::now() < end;) {
    SL_RETURN_IF_ERROR(OrderlyEnd::Check());
    if (SendAndReceive()) last = Clock::now();
    if (Clock::now() - last > kSilence) return OkStatus();
  }
  return MakeError(absl::StatusCode::kDeadlineExceeded, "datagrams arrive that policy should deny");
}

}  // namespace sluice::perf
