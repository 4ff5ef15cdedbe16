// Sends frames by a port of DPDK as fast as it takes them.
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
  const std::atomic<bool>* stop = nullptr;  // ends it at once
};

// What went, or came.
struct Tally {
  std::uint64_t packets = 0;
  std::uint64_t bytes = 0;
  std::chrono::nanoseconds duration{0};  // of sinks: from the first packet to the last
};

// Frames of kFrameBytes, each as perf_write_packet() writes the next one of `load`. `burst`: handed over at once, at
// most kLargestBurst.
StatusOr<Tally> Generate(const Port& port, perf_load load, const Amount& amount, int burst);

}  // namespace sluice::perf
