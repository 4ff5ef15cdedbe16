#include "ctrl/respond/process_handle.h"

#include <poll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <fstream>
#include <optional>
#include <sstream>

namespace sluice::respond {
namespace {

constexpr int kStartTime = 22;  // field of /proc/PID/stat, from 1; in clock ticks since boot

// The name may have spaces and parentheses: fields are counted from the last one.
std::optional<std::uint64_t> ReadStartTicks(std::uint32_t pid) {
  std::ifstream file(fmt::format("/proc/{}/stat", pid));
  std::string line;
  if (!std::getline(file, line)) return std::nullopt;
  const std::size_t end_of_name = line.rfind(')');
  if (end_of_name == std::string::npos) return std::nullopt;
  std::istringstream fields(line.substr(end_of_name + 1));
  std::string field;
  for (int number = 3; number <= kStartTime; ++number) {
    if (!(fields >> field)) return std::nullopt;
  }
  std::uint64_t ticks = 0;
  const auto [end, error] = std::from_chars(field.data(), field.data() + field.size(), ticks);
  if (error != std::errc() || end != field.data() + field.size()) return std::nullopt;
  return ticks;
}

Status Gone(std::uint32_t pid) { return MakeError(absl::StatusCode::kNotFound, "process {} has ended", pid); }

}  // namespace

StatusOr<ProcessHandle> ProcessHandle::Open(std::uint32_t pid, std::uint64_t birth_ns) {
  Fd fd(static_cast<int>(syscall(SYS_pidfd_open, static_cast<pid_t>(pid), 0)));
  if (!fd.valid()) return errno == ESRCH ? Gone(pid) : ErrnoError(errno, "open process {}", pid);
  ProcessHandle handle(std::move(fd), pid);
  const auto ticks = ReadStartTicks(pid);
  // Alive after the reading: the number was this process's during it.
  if (!ticks || !handle.IsAlive()) return Gone(pid);
  const auto ns_of_tick = 1'000'000'000ULL / static_cast<std::uint64_t>(sysconf(_SC_CLK_TCK));
  if (*ticks != birth_ns / ns_of_tick)
    return MakeError(absl::StatusCode::kNotFound, "process {} has ended, and another one has its number", pid);
  return handle;
}

bool ProcessHandle::IsAlive() const {
  pollfd polled{fd_.get(), POLLIN, 0};
  return poll(&polled, 1, 0) == 0;
}

std::string ProcessHandle::Path(const std::string& name) const { return fmt::format("/proc/{}/{}", pid_, name); }

}  // namespace sluice::respond
