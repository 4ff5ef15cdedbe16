// The agent's status for people. Pure.
#pragma once

#include <string>

#include "api/sluice.pb.h"

namespace sluice::client {

std::string StatusText(const v1::AgentStatus& status);
// Why it is not ready, as far as the status tells, and what to do.
std::string NotReadyText(const v1::AgentStatus& status);

}  // namespace sluice::client
