// External programs that a benchmark runs.
#pragma once

#include <string>

namespace sluice::perf {

bool IsInstalled(const std::string& program);

}  // namespace sluice::perf
