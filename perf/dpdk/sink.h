// Takes what comes to a port of DPDK, and counts it.
#pragma once

#include "perf/dpdk/generator.h"

namespace sluice::perf {

struct Arrivals {
  Tally udp;
  std::uint64_t others = 0;  // no UDP: neighbour discovery and the like
  std::uint64_t flows = 0;   // different addresses and ports; 0 when they were not asked for
};

// Ends by `amount`, or, once `sent` has a number, when so many came or nothing more does for a second.
struct SinkOptions {
  Amount amount;
  const std::atomic<std::uint64_t>* sent = nullptr;
  bool count_flows = false;
};
inline constexpr std::uint64_t kStillSending = ~std::uint64_t{0};

Arrivals Receive(const Port& port, const SinkOptions& options);

}  // namespace sluice::perf
