// The part of a dump that comes from the agent.
#pragma once

#include "ctrl/sluice/client.h"
#include "ctrl/sluice/dump_directory.h"

namespace sluice::client {

// Versions, status, resources, identities, rulesets, processes, flows and the last events. Returns the agent's status;
// an error: the agent does not answer, which is noted once.
StatusOr<v1::AgentStatus> DumpAgent(Client& client, DumpDirectory& dump);

}  // namespace sluice::client
