// Waits until a BPF ring buffer fills up, without reading it.
#pragma once

#include <chrono>
#include <string>

#include "base/fd.h"
#include "base/status.h"

namespace sluice::bpf {

class RingWait {
 public:
  // `map_fd` must outlive it; `name` is for errors.
  static StatusOr<RingWait> Open(int map_fd, const std::string& name);

  // Returns when the programs wake the reader, Wake is called, or the time is over. One thread at a time.
  void Wait(std::chrono::milliseconds timeout) const;
  // Ends a Wait, or the next one. From any thread.
  void Wake() const;

  RingWait() = default;  // waits for nothing

 private:
  Fd epoll_;
  Fd wake_;
};

}  // namespace sluice::bpf
