#include "ctrl/hubble/hubble_peers.h"

#include <absl/strings/numbers.h>

#include <algorithm>

namespace sluice::hubble {
namespace {

bool IsHostAndPort(const std::string& address) {
  const std::size_t colon = address.rfind(':');
  std::uint32_t port = 0;
  return colon != std::string::npos && colon != 0 && absl::SimpleAtoi(address.substr(colon + 1), &port) && port != 0 &&
         port <= UINT16_MAX;
}

}  // namespace

StatusOr<HubblePeer> ParsePeer(const std::string& text) {
  const std::size_t equals = text.find('=');
  if (equals == std::string::npos || equals == 0) {
    return InvalidError("{}: expected NAME=IP:PORT or NAME=unix:///PATH", text);
  }
  HubblePeer peer{.name = text.substr(0, equals), .address = text.substr(equals + 1)};
  if (!peer.address.starts_with("unix:") && !IsHostAndPort(peer.address)) {
    return InvalidError("{}: {} is no IP:PORT and no unix:///PATH", text, peer.address);
  }
  return peer;
}

std::string TlsServerName(const std::string& node, const std::string& cluster) {
  std::string name = node + "." + cluster;
  std::replace(name.begin(), name.begin() + static_cast<std::ptrdiff_t>(node.size()), '.', '-');
  std::replace(name.begin() + static_cast<std::ptrdiff_t>(node.size()) + 1, name.end(), '.', '-');
  return name + ".hubble-grpc.cilium.io";
}

Status CheckAdvertised(const std::string& address) {
  if (address.starts_with("unix:")) return OkStatus();
  if (!IsHostAndPort(address)) return InvalidError("{} is no IP:PORT", address);
  const std::string host = address.substr(0, address.rfind(':'));
  if (host == "0.0.0.0" || host == "[::]" || host == "::" || host == "*") {
    return InvalidError("{} says on which addresses to listen, not which one others can reach: give --hubble-advertise",
                        address);
  }
  return OkStatus();
}

}  // namespace sluice::hubble
