// The directory of sluice-bench; the programs that it starts are there too.
#pragma once

#include <string>

namespace sluice::perf {

std::string OwnDirectory();

}  // namespace sluice::perf
