// Detections for people. Pure.
#pragma once

#include <string>

#include "api/sluice.pb.h"

namespace sluice::telemetry {

// "DETECTION shop/web-0 4242 /usr/bin/cat /etc/shadow: CRITICAL Read sensitive file: Sensitive file opened | user=root"
std::string DetectionText(const v1::Detection& detection);

}  // namespace sluice::telemetry
