// An event for people with every field on a line of its own. Pure.
#pragma once

#include <string>

#include "api/sluice.pb.h"
#include "base/status.h"

namespace sluice::telemetry {

// "source.workload: web-0": paths as in JSON, lists of texts by commas, a drop reason with its sentence. Each line with
// its end; no terminal obeys it. Error: as EventToJson.
StatusOr<std::string> EventDict(const v1::Event& event);

}  // namespace sluice::telemetry
