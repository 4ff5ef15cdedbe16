// The known word that a mistyped one may stand for. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace sluice {

// Of `words`: the one that begins with `typed`, or that is the fewest typing errors away, at most `farthest`; capitals
// do not count. Empty: none is near.
std::string Nearest(const std::vector<std::string>& words, std::string_view typed, std::size_t farthest = 2);

}  // namespace sluice
