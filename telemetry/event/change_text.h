// A change as text for people. Pure.
#pragma once

#include <string>

#include "api/sluice.pb.h"

namespace sluice::telemetry {

// "created NetworkPolicy shop/db, removed Pod shop/x and 12 more". For a quarantine: "Workload shop/web-0".
std::string ChangeSummary(const v1::Change& change);

}  // namespace sluice::telemetry
