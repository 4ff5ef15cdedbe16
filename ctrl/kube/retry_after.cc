#include "ctrl/kube/retry_after.h"

#include <absl/strings/numbers.h>
#include <absl/time/time.h>

#include <algorithm>
#include <string>

namespace sluice::kube {

std::optional<std::chrono::seconds> ParseRetryAfter(std::string_view value, WallTime now) {
  const std::string text(value);
  std::uint32_t seconds = 0;
  if (absl::SimpleAtoi(text, &seconds)) return std::chrono::seconds(seconds);
  absl::Time date;
  if (!absl::ParseTime("%a, %d %b %Y %H:%M:%S GMT", text, &date, nullptr)) return std::nullopt;
  const auto wait = absl::ToChronoTime(date) - now;
  return std::max(std::chrono::ceil<std::chrono::seconds>(wait), std::chrono::seconds(0));
}

}  // namespace sluice::kube
