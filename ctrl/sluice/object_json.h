// What `get` lists, as JSON. Pure.
#pragma once

#include <string>

#include "api/sluice.pb.h"
#include "base/status.h"

namespace sluice::client {

// One line: of a resource its document with what the agent found out as `status`, which GetRequest.with_json asks for.
StatusOr<std::string> ToJsonLine(const v1::Object& object);

}  // namespace sluice::client
