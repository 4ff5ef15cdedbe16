// Runs a loaded program on one frame (BPF_PROG_TEST_RUN), for tests and benchmarks, without real traffic.
#pragma once

#include <cstdint>
#include <vector>

#include "base/status.h"

namespace sluice::bpf {

struct TestRunInput {
  std::vector<std::uint8_t> frame;    // from the Ethernet header on; the kernel wants at least 14 bytes
  std::uint32_t ifindex = 0;          // an existing interface of this namespace; 0: its loopback
  std::uint32_t ingress_ifindex = 0;  // tc only
  std::uint32_t gso_segments = 0;     // tc only; 0: not a GSO packet
  std::uint32_t repeat = 1;
};

struct TestRunOutput {
  std::uint32_t verdict = 0;  // TC_ACT_* or XDP_*
  std::vector<std::uint8_t> frame;
  std::uint32_t nanoseconds = 0;  // mean over the repetitions, by the kernel's clock
};

StatusOr<TestRunOutput> TestRunTc(int program_fd, const TestRunInput& input);
StatusOr<TestRunOutput> TestRunXdp(int program_fd, const TestRunInput& input);
// With live frames: frames that pass are real, and XDP_TX sends by `input.ifindex`. Needs kernel 5.18. Returns the
// total nanoseconds of the repetitions, with the softirqs that they raised on this CPU, without time in which the
// thread did not run.
StatusOr<std::uint64_t> TestRunXdpLive(int program_fd, const TestRunInput& input);

}  // namespace sluice::bpf
