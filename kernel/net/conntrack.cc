#include "kernel/net/conntrack.h"

#include <netinet/in.h>
#include <sys/socket.h>

#include <cstdint>
#include <fstream>
#include <optional>

#include "base/fd.h"

namespace sluice::net {
namespace {

constexpr const char* kCount = "/proc/sys/net/netfilter/nf_conntrack_count";

// These files show the network namespace of the process that opens them.
std::optional<std::uint64_t> ReadNumber(const char* path) {
  std::ifstream file(path);
  std::uint64_t number = 0;
  return file >> number ? std::optional(number) : std::nullopt;
}

void SendToOurselves(const sockaddr* loopback, socklen_t size) {
  const Fd fd(socket(loopback->sa_family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  sockaddr_storage own{};
  socklen_t own_size = sizeof(own);
  auto* const to = reinterpret_cast<sockaddr*>(&own);
  if (!fd.valid() || bind(fd.get(), loopback, size) != 0 || getsockname(fd.get(), to, &own_size) != 0) return;
  static_cast<void>(sendto(fd.get(), "", 1, 0, to, own_size));
}

// In both families, as each is tracked separately.
void SendToOurselves() {
  sockaddr_in v4{};
  v4.sin_family = AF_INET;
  v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  SendToOurselves(reinterpret_cast<const sockaddr*>(&v4), sizeof(v4));
  sockaddr_in6 v6{};
  v6.sin6_family = AF_INET6;
  v6.sin6_addr = in6addr_loopback;
  SendToOurselves(reinterpret_cast<const sockaddr*>(&v6), sizeof(v6));
}

}  // namespace

bool TracksTcpWindows() {
  if (ReadNumber("/proc/sys/net/netfilter/nf_conntrack_tcp_be_liberal").value_or(0) != 0) return false;
  const auto entries = ReadNumber(kCount);
  if (entries != 0U) return entries.has_value();
  SendToOurselves();
  return ReadNumber(kCount).value_or(0) > 0;
}

}  // namespace sluice::net
