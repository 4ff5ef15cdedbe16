// What Responses did, for people. Pure.
#pragma once

#include <string>

#include "api/sluice.pb.h"

namespace sluice::telemetry {

// One line without a line feed: "RESPONSE shop/web-0 4242 /usr/bin/nc: KILL DONE (2 processes, 3.2 ms) by cut-off:
// Hook shop/guard".
std::string ResponseText(const v1::Response& response);

}  // namespace sluice::telemetry
