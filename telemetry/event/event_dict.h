// An event for people, one line for each field. Pure.
#pragma once

#include <string>

#include "api/sluice.pb.h"
#include "base/status.h"

namespace sluice::telemetry {

// "source.workload: web-0": paths as in JSON, lists of texts with commas, a drop reason with its sentence. Each line
// ends with a line feed; control characters are escaped. Error: as EventToJson.
StatusOr<std::string> EventDict(const v1::Event& event);

}  // namespace sluice::telemetry
