// Finds the known word that a mistyped one probably means. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace sluice {

// The word of `words` that begins with `typed`, or that is the fewest typing errors away, at most `farthest`; ignores
// case. Empty: none is near.
std::string Nearest(const std::vector<std::string>& words, std::string_view typed, std::size_t farthest = 2);

}  // namespace sluice
