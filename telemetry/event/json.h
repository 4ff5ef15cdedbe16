// Messages of sluice.v1 as JSON, one object a line. Pure.
#pragma once

#include <string>

#include "api/sluice.pb.h"
#include "base/status.h"

namespace sluice::telemetry {

// No line feed at the end. Internal: a string in `message` is not UTF-8.
StatusOr<std::string> ToJson(const google::protobuf::Message& message);
// A flow's counters are JSON numbers; protobuf alone would write 64-bit values as strings.
StatusOr<std::string> ToJson(const v1::Flow& flow);
// The event itself: {"time":...,"type":"flow",...}.
StatusOr<std::string> EventToJson(const v1::Event& event);

}  // namespace sluice::telemetry
