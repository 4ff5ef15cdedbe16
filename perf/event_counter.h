// How often something happened to the calling thread, as the machine or the kernel counts it (perf_event_open). Owns
// the descriptor. For the thread that opened it.
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

  // PermissionDenied names the right that is missing; any other error: this machine does not count them.
  static StatusOr<EventCounter> Open(const Event& event);
  // Those that the kernel executes for the thread, BPF programs too.
  static StatusOr<EventCounter> KernelInstructions();

  Status Start();
  // How many since Start(). Unavailable: others had the machine's counters meanwhile.
  StatusOr<std::uint64_t> Stop();

 private:
  // As the kernel writes it. It can begin the count anew, but not the times.
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
