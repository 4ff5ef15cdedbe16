// Reading from an open iterator, which runs its program.
#pragma once

#include <functional>
#include <string_view>

#include "base/status.h"

namespace sluice::bpf {

// To the end. `consume` gets what the program writes, in parts of any size.
Status ReadIterator(int fd, const std::function<void(std::string_view)>& consume);

}  // namespace sluice::bpf
