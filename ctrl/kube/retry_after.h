// The Retry-After header (RFC 9110, 10.2.3). Pure.
#pragma once

#include <chrono>
#include <optional>
#include <string_view>

#include "ctrl/kube/environment.h"

namespace sluice::kube {

// How long to wait: a number of seconds, or the time until a date ("Sun, 06 Nov 1994 08:49:37 GMT"; 0 when it is past).
// Nothing: `value` is neither.
std::optional<std::chrono::seconds> ParseRetryAfter(std::string_view value, WallTime now);

}  // namespace sluice::kube
