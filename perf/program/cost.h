// What one packet costs.
#pragma once

#include <optional>

namespace sluice::perf {

struct Cost {
  double nanoseconds = 0;
  std::optional<double> instructions;  // of the kernel, BPF programs too; none: not counted
};

}  // namespace sluice::perf
