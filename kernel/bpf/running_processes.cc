#include "kernel/bpf/running_processes.h"

#include <charconv>
#include <filesystem>
#include <fstream>
#include <system_error>

namespace sluice::bpf {
namespace {

namespace fs = std::filesystem;

// The fourth field of /proc/PID/stat; the second one, in parentheses, may have anything in it.
std::uint32_t ParentOf(const fs::path& directory) {
  std::ifstream file(directory / "stat");
  std::string line;
  std::getline(file, line);
  const std::size_t name_end = line.rfind(')');
  std::uint32_t parent = 0;
  if (name_end == std::string::npos || line.size() < name_end + 5) return 0;
  std::from_chars(line.data() + name_end + 4, line.data() + line.size(), parent);  // ") S 123"
  return parent;
}

}  // namespace

std::map<std::uint32_t, RunningProcess> RunningProcesses() {
  std::map<std::uint32_t, RunningProcess> processes;
  std::error_code error;
  for (fs::directory_iterator at("/proc", error), end; !error && at != end; at.increment(error)) {
    const std::string name = (*at).path().filename();
    std::uint32_t pid = 0;
    const auto [last, bad] = std::from_chars(name.data(), name.data() + name.size(), pid);
    if (bad != std::errc() || last != name.data() + name.size()) continue;
    std::error_code unreadable;
    const fs::path program = fs::read_symlink((*at).path() / "exe", unreadable);
    processes[pid] = {.parent = ParentOf((*at).path()), .program = unreadable ? "" : program.string()};
  }
  return processes;
}

}  // namespace sluice::bpf
