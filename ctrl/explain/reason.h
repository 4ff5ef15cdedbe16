// An explanation in words. Pure.
#pragma once

#include <string>

#include "api/sluice.pb.h"

namespace sluice::explain {

// "shop/web egress[0] allows it at shop/web-0; no policy isolates shop/db-0 for ingress."
std::string ReasonText(const v1::Explanation& explanation);

}  // namespace sluice::explain
