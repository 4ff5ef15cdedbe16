// Where sluice-bench itself is: the programs that it starts are beside it.
#pragma once

#include <string>

namespace sluice::perf {

std::string OwnDirectory();

}  // namespace sluice::perf
