// One process, by a descriptor of it and the time of its start, so that a number that has passed on to another process
// is noticed: what is done by the handle is done to that process or to none.
//   SL_ASSIGN_OR_RETURN(const ProcessHandle process, ProcessHandle::Open(pid, birth_ns));
//   SL_RETURN_IF_ERROR(signal(process.fd()));
#pragma once

#include <cstdint>
#include <string>

#include "base/fd.h"
#include "base/status.h"

namespace sluice::respond {

class ProcessHandle {
 public:
  // `birth_ns`: start of the process, CLOCK_BOOTTIME. NotFound: it has ended, or another process has the number now.
  static StatusOr<ProcessHandle> Open(std::uint32_t pid, std::uint64_t birth_ns);

  int fd() const { return fd_.get(); }
  std::uint32_t pid() const { return pid_; }
  bool IsAlive() const;  // false also for one that is not reaped yet
  // "/proc/4242/NAME". While IsAlive is true afterwards, what was read there is of this process.
  std::string Path(const std::string& name) const;

 private:
  ProcessHandle(Fd fd, std::uint32_t pid) : fd_(std::move(fd)), pid_(pid) {}

  Fd fd_;
  std::uint32_t pid_ = 0;
};

}  // namespace sluice::respond
