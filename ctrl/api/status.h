// The part of the agent's `status` that changes from call to call.
#pragma once

#include "ctrl/reconcile/controller.h"
#include "telemetry/telemetry.h"

namespace sluice::api {

// Error: the kernel's maps could not be read.
Status AddNumbers(const reconcile::View& view, datapath::PathReader& datapath, telemetry::Telemetry& telemetry,
                  v1::AgentStatus* status);

void AddSources(const std::string& server, const std::vector<telemetry::SourceState>& sources,
                v1::AgentStatus::Kubernetes* kubernetes);

// What is closed, though the agent enforces, and why: "shop/db-0: no interface v-db".
std::vector<std::string> ClosedLines(const reconcile::View& view);

}  // namespace sluice::api
