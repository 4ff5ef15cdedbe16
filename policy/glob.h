// Patterns of programs' paths, as rules write them. The specification that the BPF program's own matching is tested
// against. Pure.
#pragma once

#include <string_view>

namespace sluice::policy {

// Whether `pattern` matches the whole of `path`. "*": any run of bytes but '/', "**": any run, "?": one byte but '/'.
// Runs may be empty. Every other byte stands for itself; there are no escapes.
bool GlobMatches(std::string_view pattern, std::string_view path);

}  // namespace sluice::policy
