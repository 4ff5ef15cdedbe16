// Numbers of filters, as people write them: decimal, 0x, 0b, 0o or 0 (octal), with "_" between digits. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "policy/resource/resource_field.h"
#include "policy/tracing/arg_types.h"

namespace sluice::policy::tracing {

// A number of `bits` (8, 16, 32 or 64), sign-extended to 64 bits. Absent: no number, or it does not fit.
std::optional<std::uint64_t> NumberOf(std::string_view text, bool is_signed, int bits);

// "0 to 255", for errors.
std::string RangeOf(bool is_signed, int bits);

// The text of a scalar, quoted or not: a value may be written as YAML's number, too. Error: a list, a map or null.
StatusOr<std::string> ScalarText(const Field& field);

// An unsigned number from `first` to `last`, quoted or not.
StatusOr<std::uint64_t> ParseUnsigned(const Field& field, std::uint64_t first, std::uint64_t last);

}  // namespace sluice::policy::tracing
