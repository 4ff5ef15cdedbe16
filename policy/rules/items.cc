#include "policy/rules/items.h"

#include <fmt/format.h>

#include <charconv>

namespace sluice::policy::rules {

std::string Version::ToString() const { return fmt::format("{}.{}.{}", major, minor, patch); }

std::optional<Version> ParseVersion(std::string_view text) {
  Version version;
  for (std::uint32_t* const number : {&version.major, &version.minor, &version.patch}) {
    if (number != &version.major) {
      if (!text.starts_with('.')) return std::nullopt;
      text.remove_prefix(1);
    }
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), *number);
    if (error != std::errc()) return std::nullopt;
    text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  }
  if (!text.empty() && text.front() != '-' && text.front() != '+') return std::nullopt;
  return version;
}

bool RuleUpdate::IsEmpty() const {
  return !condition && !output && !description && !priority && !enabled && !capture && !capture_ms &&
         !warn_event_types && !skip_if_unknown && !tags && !exceptions;
}

}  // namespace sluice::policy::rules
