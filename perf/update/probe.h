// Sends one packet repeatedly through a program, by test runs on its own CPU, and finds when its verdict changes.
#pragma once

#include <atomic>
#include <chrono>
#include <thread>

#include "kernel/bpf/testing/test_run.h"

namespace sluice::perf {

struct ProbePacket {
  int program_fd = -1;
  bpf::TestRunInput input;
};

// Runs in the calling thread's network namespace.
class Probe {
 public:
  // Returns after the packet has got `before` at least once.
  Probe(ProbePacket packet, std::uint32_t before, std::uint32_t after);
  ~Probe();
  Probe(const Probe&) = delete;
  Probe& operator=(const Probe&) = delete;

  // The time when the packet first got `after`. An error for any other verdict, or after a minute without it.
  StatusOr<std::chrono::steady_clock::time_point> Changed();

 private:
  void Run();
  StatusOr<std::uint32_t> Evaluate() const;

  const ProbePacket packet_;
  const std::uint32_t before_, after_;
  std::atomic<bool> started_ = false, stopping_ = false;
  Status status_;  // owned by the thread until it is joined
  std::chrono::steady_clock::time_point changed_;
  std::thread thread_;
};

}  // namespace sluice::perf
