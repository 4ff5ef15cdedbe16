#include "perf/event_counter.h"

#include <linux/perf_event.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

namespace sluice::perf {

StatusOr<EventCounter> EventCounter::Open(const Event& event) {
  perf_event_attr attr{};
  attr.size = sizeof(attr);
  attr.type = event.type;
  attr.config = event.config;
  attr.read_format = PERF_FORMAT_TOTAL_TIME_ENABLED | PERF_FORMAT_TOTAL_TIME_RUNNING;
  attr.disabled = 1;
  attr.exclude_user = !event.in_user;
  attr.exclude_kernel = !event.in_kernel;
  attr.exclude_hv = 1;
  constexpr pid_t kThisThread = 0;
  constexpr int kAnyCpu = -1, kNoGroup = -1;
  Fd fd(static_cast<int>(syscall(SYS_perf_event_open, &attr, kThisThread, kAnyCpu, kNoGroup, PERF_FLAG_FD_CLOEXEC)));
  if (fd.valid()) return EventCounter(std::move(fd), event.name);
  if (errno == EACCES || errno == EPERM)
    return MakeError(absl::StatusCode::kPermissionDenied,
                     "count {} (needs CAP_PERFMON, or a lower kernel.perf_event_paranoid)", event.name);
  return ErrnoError(errno, "this machine does not count {}", event.name);
}

StatusOr<EventCounter> EventCounter::KernelInstructions() {
  return Open(
      {.name = "instructions", .type = PERF_TYPE_HARDWARE, .config = PERF_COUNT_HW_INSTRUCTIONS, .in_user = false});
}

StatusOr<EventCounter::Reading> EventCounter::Read() const {
  Reading reading;
  const auto bytes = read(fd_.get(), &reading, sizeof(reading));
  if (bytes == sizeof(reading)) return reading;
  return ErrnoError(bytes < 0 ? errno : EIO, "read the counter of {}", name_);
}

Status EventCounter::Start() {
  if (ioctl(fd_.get(), PERF_EVENT_IOC_ENABLE, 0) != 0) return ErrnoError(errno, "begin to count {}", name_);
  SL_ASSIGN_OR_RETURN(begin_, Read());
  return OkStatus();
}

StatusOr<std::uint64_t> EventCounter::Stop() {
  SL_ASSIGN_OR_RETURN(const Reading end, Read());
  if (ioctl(fd_.get(), PERF_EVENT_IOC_DISABLE, 0) != 0) return ErrnoError(errno, "end counting {}", name_);
  const std::uint64_t enabled = end.enabled_ns - begin_.enabled_ns, running = end.running_ns - begin_.running_ns;
  if (running < enabled)
    return MakeError(absl::StatusCode::kUnavailable, "{}: counted for {} of {} ns, others had the machine's counters",
                     name_, running, enabled);
  return end.count - begin_.count;
}

}  // namespace sluice::perf
