// One TCP segment without data, as on the wire, padded to 64 bytes.
#pragma once

#include <cstdint>
#include <vector>

#include "policy/resource/address.h"

namespace sluice::perf {

inline constexpr std::uint8_t kSyn = 0x02, kAck = 0x10;

struct Segment {
  policy::Address source;
  policy::Address destination;  // of the same family
  std::uint16_t source_port = 0;
  std::uint16_t destination_port = 0;
  std::uint8_t flags = kAck;
};

std::vector<std::uint8_t> MakeFrame(const Segment& segment);
std::uint32_t Layer4Offset(bool v6);

}  // namespace sluice::perf
