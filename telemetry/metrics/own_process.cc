#include "telemetry/metrics/own_process.h"

#include <sys/resource.h>
#include <unistd.h>

#include <ctime>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

namespace sluice::telemetry {
namespace {

double Seconds(clockid_t clock) {
  timespec now{};
  clock_gettime(clock, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

// The fields of proc_pid_stat(5) from the third on. The name before them may contain spaces and parentheses.
std::vector<double> StatFields() {
  std::ifstream file("/proc/self/stat");
  std::string line;
  std::getline(file, line);
  const std::size_t end = line.rfind(')');
  if (end == std::string::npos) return {};
  std::istringstream words(line.substr(end + 1));
  std::string state;
  words >> state;
  std::vector<double> fields{0};
  for (double value = 0; words >> value;) fields.push_back(value);
  return fields;
}

}  // namespace

std::optional<OwnProcess> ReadOwnProcess() {
  constexpr std::size_t kFirst = 3, kUserTime = 14, kSystemTime = 15, kThreads = 20, kStart = 22, kVirtual = 23,
                        kResident = 24;
  const std::vector<double> fields = StatFields();
  if (fields.size() + kFirst <= kResident) return std::nullopt;
  const auto field = [&](std::size_t number) { return fields[number - kFirst]; };
  const auto ticks = static_cast<double>(sysconf(_SC_CLK_TCK));
  OwnProcess own;
  own.cpu_seconds = (field(kUserTime) + field(kSystemTime)) / ticks;
  own.threads = field(kThreads);
  own.start_seconds = Seconds(CLOCK_REALTIME) - Seconds(CLOCK_BOOTTIME) + field(kStart) / ticks;
  own.virtual_bytes = field(kVirtual);
  own.resident_bytes = field(kResident) * static_cast<double>(sysconf(_SC_PAGESIZE));
  std::error_code error;
  for (std::filesystem::directory_iterator fd("/proc/self/fd", error), end; !error && fd != end; fd.increment(error))
    own.open_fds++;
  if (error) return std::nullopt;
  own.open_fds--;  // the descriptor that reads the directory
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return std::nullopt;
  own.max_fds = static_cast<double>(limit.rlim_cur);
  return own;
}

}  // namespace sluice::telemetry
