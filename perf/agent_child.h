// A real sluiced as a child of this process, in the calling thread's network namespace.
#pragma once

#include <sys/types.h>

#include <memory>
#include <string>
#include <vector>

#include "perf/scratch.h"

namespace sluice::perf {

// Killed in the destructor unless it was stopped. Attached programs and pins stay until the scratch is cleared.
class AgentChild {
 public:
  // Waits until the agent reports that it enforces. An error contains its log.
  static StatusOr<std::unique_ptr<AgentChild>> Start(const Scratch& scratch, const std::vector<std::string>& arguments);
  ~AgentChild();
  AgentChild(const AgentChild&) = delete;
  AgentChild& operator=(const AgentChild&) = delete;

  Status Stop();                                 // SIGTERM; an error unless it ends with 0
  double start_ms() const { return start_ms_; }  // from start to enforcement
  StatusOr<double> ResidentBytes() const;
  StatusOr<double> ResidentMapBytes() const;  // the part that is mapped BPF maps; a ring buffer counts twice
  StatusOr<double> CpuSeconds() const;        // since its start, of all threads

 private:
  AgentChild() = default;
  Status AwaitReady(int socket) const;

  pid_t pid_ = -1;
  double start_ms_ = 0;
};

}  // namespace sluice::perf
