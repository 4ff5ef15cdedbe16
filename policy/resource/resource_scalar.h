// What an unquoted YAML scalar means, as Kubernetes reads it (YAML 1.1: "yes", "on" and "y" are
// booleans). Pure functions.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "policy/resource/yaml.h"

namespace sluice::policy {

enum class ScalarType { kString, kBool, kInteger, kFloat };

ScalarType TypeOf(const YamlNode& scalar);

bool IsNullText(std::string_view text);
std::optional<bool> ParseBool(std::string_view text);
// Decimal, or with the prefixes 0x, 0o, 0b and 0 (octal); "_" between digits is skipped.
std::optional<std::int64_t> ParseInteger(std::string_view text);
// Decimal without leading zeros; absent otherwise, so that 010 is never read as 10 or 8.
std::optional<std::int64_t> ParsePlainDecimal(std::string_view text);
std::optional<double> ParseFloat(std::string_view text);

// `text` in double quotes, with control characters escaped: the same in YAML and in C.
std::string Quoted(std::string_view text);

}  // namespace sluice::policy
