#include "testbed/raw_link.h"

#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>

#include "testbed/netns.h"

namespace sluice::test {
namespace {

bool Has(const Frame& frame, const std::string& bytes) {
  return std::search(frame.begin(), frame.end(), bytes.begin(), bytes.end(),
                     [](std::uint8_t a, char b) { return a == static_cast<std::uint8_t>(b); }) != frame.end();
}

}  // namespace

StatusOr<RawLink> RawLink::Open(int netns_fd, const std::string& interface) {
  Fd socket;
  SL_RETURN_IF_ERROR(RunIn(netns_fd, [&]() -> Status {
    socket = Fd(::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0));
    if (!socket.valid()) return ErrnoError(errno, "open a packet socket");
    sockaddr_ll address{};
    address.sll_family = AF_PACKET;
    address.sll_protocol = htons(ETH_P_ALL);
    address.sll_ifindex = static_cast<int>(if_nametoindex(interface.c_str()));
    if (::bind(socket.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0)
      return ErrnoError(errno, "bind a packet socket to {}", interface);
    return OkStatus();
  }));
  return RawLink(std::move(socket));
}

Status RawLink::Send(const Frame& frame) const {
  if (::send(socket_.get(), frame.data(), frame.size(), 0) != static_cast<ssize_t>(frame.size()))
    return ErrnoError(errno, "send a frame of {} bytes", frame.size());
  return OkStatus();
}

bool RawLink::Sees(const std::string& bytes, std::chrono::milliseconds patience) {
  const auto has = [&](const Frame& frame) { return Has(frame, bytes); };
  if (std::any_of(received_.begin(), received_.end(), has)) return true;
  const auto deadline = std::chrono::steady_clock::now() + patience;
  while (true) {
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
    pollfd waiting{.fd = socket_.get(), .events = POLLIN, .revents = 0};
    if (left.count() < 0 || ::poll(&waiting, 1, static_cast<int>(left.count())) <= 0) return false;
    Frame frame(65536);
    sockaddr_ll from{};
    socklen_t size = sizeof(from);
    const ssize_t length =
        ::recvfrom(socket_.get(), frame.data(), frame.size(), 0, reinterpret_cast<sockaddr*>(&from), &size);
    if (length < 0 || from.sll_pkttype == PACKET_OUTGOING) continue;
    frame.resize(static_cast<std::size_t>(length));
    received_.push_back(std::move(frame));
    if (has(received_.back())) return true;
  }
}

Raw Marked(const std::string& text, std::size_t size) {
  Raw raw{std::vector<std::uint8_t>(text.begin(), text.end())};
  raw.bytes.resize(std::max(size, text.size()));
  return raw;
}

}  // namespace sluice::test
