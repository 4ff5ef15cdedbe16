// How many files this process may have open.
#pragma once

#include <cstdint>
#include <optional>

namespace sluice {

// As many as it may allow itself. Returns the limit; nothing: it is not known.
std::optional<std::uint64_t> RaiseFileLimit();

}  // namespace sluice
