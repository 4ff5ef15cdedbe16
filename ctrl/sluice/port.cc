#include "ctrl/sluice/port.h"

#include <algorithm>
#include <charconv>

namespace sluice::client {
namespace {

struct Protocol {
  const char* name;
  bool has_ports;
};
constexpr Protocol kProtocols[] = {{"TCP", true}, {"UDP", true}, {"SCTP", true}, {"ICMP", false}, {"ICMPv6", false}};

const Protocol* FindProtocol(const std::string& text) {
  const auto same = [](unsigned char a, unsigned char b) { return std::tolower(a) == std::tolower(b); };
  const auto* found = std::find_if(std::begin(kProtocols), std::end(kProtocols), [&](const Protocol& protocol) {
    const std::string_view name = protocol.name;
    return std::equal(name.begin(), name.end(), text.begin(), text.end(), same);
  });
  return found == std::end(kProtocols) ? nullptr : found;
}

// 0: it is no port.
std::uint16_t ParseNumber(std::string_view text) {
  std::uint16_t number = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), number);
  return parsed.ec == std::errc() && parsed.ptr == text.data() + text.size() ? number : 0;
}

}  // namespace

StatusOr<ProtocolPort> ParseProtocolPort(const std::string& text) {
  const auto invalid = [&text](const char* why) {
    return InvalidError("port {}: {}; expected for example 80/TCP, 53/UDP, 80 (which means TCP), or ICMP", text, why);
  };
  if (const Protocol* protocol = FindProtocol(text)) {
    if (protocol->has_ports) return invalid("the number is missing");
    return ProtocolPort{.protocol = protocol->name};
  }
  const std::size_t slash = text.find('/');
  const std::uint16_t number = ParseNumber(text.substr(0, slash));
  if (number == 0) return invalid("a port is a number from 1 to 65535");
  const Protocol* protocol = slash == std::string::npos ? &kProtocols[0] : FindProtocol(text.substr(slash + 1));
  if (protocol == nullptr) return invalid("the protocol is none of TCP, UDP, SCTP, ICMP and ICMPv6");
  if (!protocol->has_ports) return invalid("this protocol has no ports");
  return ProtocolPort{.protocol = protocol->name, .port = number};
}

}  // namespace sluice::client
