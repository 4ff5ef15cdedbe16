// `explain --drop-reason`: why packets are dropped, and what to do. Pure.
#pragma once

#include <string>

#include "base/status.h"

namespace sluice::client {

// `name` empty: all of them. InvalidArgument: there is no such reason; suggests the nearest.
StatusOr<std::string> DropReasonText(const std::string& name);
// The same as JSON, one a line: {"reason": ..., "meaning": ..., "advice": ...}.
StatusOr<std::string> DropReasonJson(const std::string& name);

}  // namespace sluice::client
