// A pcap or pcapng file, frame by frame.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>

#include "base/status.h"

namespace sluice::replay {

struct CapturedFrame {
  std::uint64_t time_ns = 0;            // since the epoch
  std::span<const std::uint8_t> bytes;  // from an Ethernet header on, valid during the call; may be cut short
  std::uint32_t original_length = 0;    // on the wire
};

// Link types: Ethernet, raw IP, and Linux "cooked" (any interface); the last two get a synthetic Ethernet header.
// Errors name the file: cannot be opened, not a capture, unsupported link type, damaged at frame N.
Status ReadCapture(const std::string& path, const std::function<void(const CapturedFrame&)>& visit);

}  // namespace sluice::replay
