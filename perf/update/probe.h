// One packet again and again through a program, by test runs on a CPU of its own: when does its verdict change?
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

// Starts in the calling thread's network namespace.
class Probe {
 public:
  // When it returns, the packet has met `before` at least once.
  Probe(ProbePacket packet, std::uint32_t before, std::uint32_t after);
  ~Probe();
  Probe(const Probe&) = delete;
  Probe& operator=(const Probe&) = delete;

  // When the first packet had met `after`. An error when one met neither, or none did in a minute.
  StatusOr<std::chrono::steady_clock::time_point> Changed();

 private:
  void Run();
  StatusOr<std::uint32_t> Evaluate() const;

  const ProbePacket packet_;
  const std::uint32_t before_, after_;
  std::atomic<bool> started_ = false, stopping_ = false;
  Status status_;  // these of the thread, until it is joined
  std::chrono::steady_clock::time_point changed_;
  std::thread thread_;
};

}  // namespace sluice::perf
