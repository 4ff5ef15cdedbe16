#include "ctrl/explain/protocol.h"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <string_view>

#include "policy/resource/model.h"

namespace sluice::explain {
namespace {

struct Protocol {
  const char* name;
  std::uint8_t number;
  bool has_ports;
};
constexpr Protocol kProtocols[] = {{"TCP", policy::kTcp, true},
                                   {"UDP", policy::kUdp, true},
                                   {"SCTP", policy::kSctp, true},
                                   {"ICMP", policy::kIcmp, false},
                                   {"ICMPv6", policy::kIcmpv6, false}};

bool SameIgnoringCase(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](unsigned char x, unsigned char y) { return std::tolower(x) == std::tolower(y); });
}

}  // namespace

StatusOr<std::uint8_t> ParseProtocol(const std::string& text) {
  for (const Protocol& protocol : kProtocols) {
    if (SameIgnoringCase(text, protocol.name)) return protocol.number;
  }
  unsigned number = 0;
  const char* end = text.data() + text.size();
  const auto parsed = std::from_chars(text.data(), end, number);
  if (parsed.ec == std::errc() && parsed.ptr == end && number <= UINT8_MAX) return static_cast<std::uint8_t>(number);
  return InvalidError("protocol {}: expected TCP, UDP, SCTP, ICMP, ICMPv6 or a number up to 255", text);
}

bool HasPorts(std::uint8_t protocol) {
  return std::any_of(std::begin(kProtocols), std::end(kProtocols),
                     [&](const Protocol& known) { return known.number == protocol && known.has_ports; });
}

}  // namespace sluice::explain
