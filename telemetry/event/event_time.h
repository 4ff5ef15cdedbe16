// Times of events, and how they are shown. Pure.
#pragma once

#include <cstdint>
#include <string>

#include "api/sluice.pb.h"

namespace sluice::telemetry {

// 1970 for a type of event that this program does not know.
const google::protobuf::Timestamp& TimeOf(const v1::Event& event);

// Nanoseconds since 1970; of years before 1677 or after 2262 the nearest number that there is.
std::int64_t NanosecondsOf(const google::protobuf::Timestamp& time);

// "2026-07-01T10:00:00.123Z".
std::string TimeText(const google::protobuf::Timestamp& time);

}  // namespace sluice::telemetry
