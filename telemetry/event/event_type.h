#pragma once

#include <string>

#include "api/sluice.pb.h"

namespace sluice::telemetry {

// "flow", "hook": what the event is, as its `type` says. Empty for a type that this program does not know. Pure.
std::string TypeOf(const v1::Event& event);

}  // namespace sluice::telemetry
