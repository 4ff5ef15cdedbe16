// A real sluiced as a child of this process, in the calling thread's network namespace.
#pragma once

#include <sys/types.h>

#include <memory>
#include <string>
#include <vector>

#include "perf/scratch.h"

namespace sluice::perf {

// Ends with SIGKILL unless it was stopped. What it attached and pinned stays for the scratch to clear.
class AgentChild {
 public:
  // Waits until it says that it enforces. An error has what it logged.
  static StatusOr<std::unique_ptr<AgentChild>> Start(const Scratch& scratch, const std::vector<std::string>& arguments);
  ~AgentChild();
  AgentChild(const AgentChild&) = delete;
  AgentChild& operator=(const AgentChild&) = delete;

  Status Stop();                                 // SIGTERM; an error unless it ends with 0
  double start_ms() const { return start_ms_; }  // until it enforced
  StatusOr<double> ResidentBytes() const;
  StatusOr<double> ResidentMapBytes() const;  // of these, BPF maps that it has mapped; a ring buffer counts twice
  StatusOr<double> CpuSeconds() const;        // since its start, of all threads

 private:
  AgentChild() = default;
  Status AwaitReady(int socket) const;

  pid_t pid_ = -1;
  double start_ms_ = 0;
};

}  // namespace sluice::perf
