// The time of an event. Pure.
#pragma once

#include "api/sluice.pb.h"

namespace sluice::telemetry {

// 1970 for a type of event that this program does not know.
const google::protobuf::Timestamp& TimeOf(const v1::Event& event);

}  // namespace sluice::telemetry
