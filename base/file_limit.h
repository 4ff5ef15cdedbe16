// The limit on this process's open files.
#pragma once

#include <cstdint>
#include <optional>

namespace sluice {

// Raises the limit as far as this process may. Returns the limit; nothing: it is not known.
std::optional<std::uint64_t> RaiseFileLimit();

}  // namespace sluice
