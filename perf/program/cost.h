// The cost of one packet.
#pragma once

#include <optional>

namespace sluice::perf {

struct Cost {
  double nanoseconds = 0;
  std::optional<double> instructions;  // kernel instructions, BPF programs included; none: not counted
};

}  // namespace sluice::perf
