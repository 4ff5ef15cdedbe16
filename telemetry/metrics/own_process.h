// The agent's own resource usage, from /proc/self.
#pragma once

#include <optional>

namespace sluice::telemetry {

struct OwnProcess {
  double cpu_seconds = 0;
  double resident_bytes = 0;
  double virtual_bytes = 0;
  double open_fds = 0;
  double max_fds = 0;
  double threads = 0;
  double start_seconds = 0;  // since the epoch
};

// Nothing: it cannot be read.
std::optional<OwnProcess> ReadOwnProcess();

}  // namespace sluice::telemetry
