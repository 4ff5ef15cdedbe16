// Transport facts as a message. Pure.
#pragma once

#include <cstdint>
#include <string>

#include "api/sluice.pb.h"

namespace sluice::telemetry {

// Host byte order. Ports are used for TCP, UDP and SCTP only, flags for TCP, type and code for ICMP and ICMPv6.
struct Layer4Facts {
  std::uint8_t protocol = 0;
  std::uint16_t source_port = 0;
  std::uint16_t destination_port = 0;
  std::uint8_t tcp_flags = 0;
  std::uint8_t icmp_type = 0;
  std::uint8_t icmp_code = 0;
};

v1::Layer4 MakeLayer4(const Layer4Facts& facts);

}  // namespace sluice::telemetry
