// A change as text for people. Pure.
#pragma once

#include <string>

#include "api/sluice.pb.h"

namespace sluice::telemetry {

// For the log and for `observe`: "uid 0, pid 42: apply: created NetworkPolicy shop/db, removed Pod shop/x and 12 more;
// revision 7"; "uid 7, pid 42: quarantine: Workload shop/web-0; refused: ...".
std::string ChangeText(const v1::Change& change);

}  // namespace sluice::telemetry
