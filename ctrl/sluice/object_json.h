// What `get` lists, as JSON. Pure.
#pragma once

#include <string>

#include "api/sluice.pb.h"
#include "base/status.h"

namespace sluice::client {

// One line. For a resource: its document with the agent's facts as `status`; needs GetRequest.with_json.
StatusOr<std::string> ToJsonLine(const v1::Object& object);

}  // namespace sluice::client
