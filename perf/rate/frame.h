// The template from which the generator makes its packets: Ethernet, IPv4, UDP, 60 bytes.
#pragma once

#include "ctrl/base/status.h"
#include "perf/bpf/load.h"
#include "policy/address.h"

namespace sluice::perf {

inline constexpr std::size_t kFrameBytes = 60;

struct Ends {
  std::string source_mac;
  std::string destination_mac;  // of the next hop
  std::string source;           // IPv4
  std::string destination;
};

// Headers, source and sum of `load`.
Status FillHeaders(const Ends& ends, perf_load* load);

}  // namespace sluice::perf
