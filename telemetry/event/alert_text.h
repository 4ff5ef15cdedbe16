// Alerts of KubeArmor policies for people. Pure.
#pragma once

#include <string>

#include "api/sluice.pb.h"

namespace sluice::telemetry {

// "ALERT  shop/web-0 4242 /usr/bin/bash: PROCESS /usr/bin/cat -> BLOCK (EPERM): message [shop/policy
// spec.process.matchPaths[0]]"
std::string AlertText(const v1::Alert& alert);

}  // namespace sluice::telemetry
