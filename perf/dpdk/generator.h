// Sends frames through a DPDK port as fast as it takes them.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>

#include "perf/bpf/load.h"
#include "perf/dpdk/port.h"

namespace sluice::perf {

inline constexpr int kLargestBurst = 256;

struct Amount {
  std::uint64_t packets = 0;                // 0: no limit
  std::chrono::nanoseconds duration{0};     // 0: no limit
  const std::atomic<bool>* stop = nullptr;  // set to true: ends it at once
};

// What was sent or received.
struct Tally {
  std::uint64_t packets = 0;
  std::uint64_t bytes = 0;
  std::chrono::nanoseconds duration{0};  // for sinks: from the first packet to the last
};

// Sends frames of kFrameBytes, each written by perf_write_packet() from `load`. `burst`: number of frames handed over
// at once, at most kLargestBurst.
StatusOr<Tally> Generate(const Port& port, perf_load load, const Amount& amount, int burst);

}  // namespace sluice::perf
