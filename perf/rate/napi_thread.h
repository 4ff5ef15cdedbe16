// Receives for one interface on a given CPU: its NAPI runs in a kernel thread ("threaded NAPI", kernel 5.12).
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>

#include "base/status.h"

namespace sluice::perf {

class NapiThread {
 public:
  // `interface` is in the calling thread's namespace and must have one queue. Lasts as long as the interface.
  static StatusOr<NapiThread> Start(const std::string& interface, int cpu);

  // Nanoseconds that it has run, including deferred softirqs of its CPU.
  StatusOr<std::uint64_t> RunTime() const;

 private:
  NapiThread(pid_t thread, pid_t softirqs) : thread_(thread), softirqs_(softirqs) {}
  pid_t thread_;
  pid_t softirqs_;
};

// Run time in nanoseconds of the kernel thread for a CPU's deferred softirqs (ksoftirqd).
StatusOr<std::uint64_t> SoftirqThreadTime(int cpu);

}  // namespace sluice::perf
