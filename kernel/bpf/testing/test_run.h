// Runs a loaded program on one frame (BPF_PROG_TEST_RUN), for tests and benchmarks. Thread-safe.
#pragma once

#include <cstdint>
#include <vector>

#include "base/status.h"

namespace sluice::bpf {

struct TestRunInput {
  std::vector<std::uint8_t> frame;    // from the Ethernet header on; at least 14 bytes
  std::uint32_t ifindex = 0;          // an interface of the thread's network namespace; 0: its loopback
  std::uint32_t ingress_ifindex = 0;  // tc only
  std::uint32_t gso_segments = 0;     // tc only; 0: not a GSO packet
  std::uint32_t repeat = 1;
};

struct TestRunOutput {
  std::uint32_t verdict = 0;  // TC_ACT_* or XDP_*
  std::vector<std::uint8_t> frame;
  std::uint32_t nanoseconds = 0;  // mean of the repetitions, measured by the kernel
};

StatusOr<TestRunOutput> TestRunTc(int program_fd, const TestRunInput& input);
StatusOr<TestRunOutput> TestRunXdp(int program_fd, const TestRunInput& input);
// Runs on live frames: passed and redirected frames are real packets, and XDP_TX sends them by `input.ifindex`. Needs
// Linux 5.18. Returns the nanoseconds of all repetitions, including softirqs that they raised on this CPU, excluding
// the time in which the thread did not run.
StatusOr<std::uint64_t> TestRunXdpLive(int program_fd, const TestRunInput& input);

}  // namespace sluice::bpf
