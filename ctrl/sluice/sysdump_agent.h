// A dump's part that the agent tells.
#pragma once

#include "ctrl/sluice/client.h"
#include "ctrl/sluice/dump_directory.h"

namespace sluice::client {

// Versions, status, resources, identities, rulesets, processes, flows and the last events. The agent's status; an
// error: it does not answer, and is noted once.
StatusOr<v1::AgentStatus> DumpAgent(Client& client, DumpDirectory& dump);

}  // namespace sluice::client
