// Receives and counts packets at a DPDK port.
#pragma once

#include "perf/dpdk/generator.h"

namespace sluice::perf {

struct Arrivals {
  Tally udp;
  std::uint64_t others = 0;  // not UDP, such as neighbour discovery
  std::uint64_t flows = 0;   // different addresses and ports; 0 when they are not counted
};

// Ends at `amount`. Once `sent` is set, also ends after that many packets, or after a second without any.
struct SinkOptions {
  Amount amount;
  const std::atomic<std::uint64_t>* sent = nullptr;
  bool count_flows = false;
};
inline constexpr std::uint64_t kStillSending = ~std::uint64_t{0};

Arrivals Receive(const Port& port, const SinkOptions& options);

}  // namespace sluice::perf
