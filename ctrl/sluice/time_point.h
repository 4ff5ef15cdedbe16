// A time as people type it. Pure.
#pragma once

#include <google/protobuf/timestamp.pb.h>

#include <chrono>
#include <string>

#include "base/status.h"

namespace sluice::client {

// RFC 3339 ("2026-07-01T10:00:00Z"), or a duration before `now`: "5m", "1h30m", "90s".
StatusOr<google::protobuf::Timestamp> ParseTimePoint(const std::string& text,
                                                     std::chrono::system_clock::time_point now);

}  // namespace sluice::client
