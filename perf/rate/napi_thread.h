// The receiving half of an interface on a CPU of its own: its NAPI runs in a kernel thread ("threaded NAPI",
// kernel 5.12).
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>

#include "base/status.h"

namespace sluice::perf {

class NapiThread {
 public:
  // `interface` of the calling thread's namespace, which must have one queue. For as long as the interface lives.
  static StatusOr<NapiThread> Start(const std::string& interface, int cpu);

  // Nanoseconds that it has run, left-over softirqs of its CPU included.
  StatusOr<std::uint64_t> RunTime() const;

 private:
  NapiThread(pid_t thread, pid_t softirqs) : thread_(thread), softirqs_(softirqs) {}
  pid_t thread_;
  pid_t softirqs_;
};

// Nanoseconds that the kernel's thread for left-over softirqs of a CPU has run.
StatusOr<std::uint64_t> SoftirqThreadTime(int cpu);

}  // namespace sluice::perf
