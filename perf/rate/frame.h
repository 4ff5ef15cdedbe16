// The template of the generator's packets: Ethernet, IPv4 or IPv6, UDP.
#pragma once

#include "base/status.h"
#include "perf/bpf/load.h"
#include "policy/resource/address.h"

namespace sluice::perf {

inline constexpr std::size_t kFrameBytes = PERF_LOAD_HEADERS;  // of either family

struct Ends {
  std::string source_mac;
  std::string destination_mac;  // of the next hop
  std::string source;
  std::string destination;
};

// Sets headers, source and sum of `load`; `load` says which family the addresses have.
Status FillHeaders(const Ends& ends, perf_load* load);

}  // namespace sluice::perf
