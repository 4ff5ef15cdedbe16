// The agent's status for people. Pure.
#pragma once

#include <string>

#include "api/sluice.pb.h"

namespace sluice::client {

std::string StatusText(const v1::AgentStatus& status);
// Enforcement is in place, and no workload or interface is closed or unbound.
bool IsInPlace(const v1::AgentStatus& status);
// What is not in place, as far as the status says, and what to do.
std::string NotInPlaceText(const v1::AgentStatus& status);

}  // namespace sluice::client
