// Counts events of the calling thread, by hardware or by the kernel (perf_event_open). Owns the descriptor. Only for
// the thread that opened it.
//   SL_ASSIGN_OR_RETURN(EventCounter counter, EventCounter::KernelInstructions());
//   SL_RETURN_IF_ERROR(counter.Start());
//   ...
//   SL_ASSIGN_OR_RETURN(const std::uint64_t instructions, counter.Stop());
#pragma once

#include <cstdint>
#include <string>

#include "base/fd.h"
#include "base/status.h"

namespace sluice::perf {

class EventCounter {
 public:
  struct Event {
    std::string name;
    std::uint32_t type = 0;  // PERF_TYPE_*
    std::uint64_t config = 0;
    bool in_user = true;
    bool in_kernel = true;
  };

  // PermissionDenied names the missing right; any other error: this machine does not count these events.
  static StatusOr<EventCounter> Open(const Event& event);
  // Kernel instructions executed for the thread, including BPF programs.
  static StatusOr<EventCounter> KernelInstructions();

  Status Start();
  // Number of events since Start(). Unavailable: the counter was shared with other users meanwhile.
  StatusOr<std::uint64_t> Stop();

 private:
  // The kernel's format. A reset clears the count but not the times.
  struct Reading {
    std::uint64_t count = 0;
    std::uint64_t enabled_ns = 0;
    std::uint64_t running_ns = 0;
  };
  EventCounter(Fd fd, std::string name) : fd_(std::move(fd)), name_(std::move(name)) {}
  StatusOr<Reading> Read() const;

  Fd fd_;
  std::string name_;
  Reading begin_;
};

}  // namespace sluice::perf
