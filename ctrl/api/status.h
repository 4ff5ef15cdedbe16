// The part of the agent's `status` that changes from call to call.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "ctrl/reconcile/controller.h"
#include "telemetry/telemetry.h"

namespace sluice::api {

// Error: the kernel's maps could not be read.
Status AddNumbers(const reconcile::View& view, datapath::PathReader& datapath, telemetry::Telemetry& telemetry,
                  v1::AgentStatus* status);

void AddSources(const std::string& server, const std::vector<telemetry::SourceState>& sources,
                v1::AgentStatus::Kubernetes* kubernetes);

void AddHookPolicies(const hooks::PolicyReports& reports, v1::AgentStatus* status);
void AddLsmPolicies(const lsm::LsmReports& reports, const reconcile::View& view, v1::AgentStatus* status);

void AddDetectionRules(const telemetry::DetectionNumbers& numbers, v1::AgentStatus* status);

// Tunnels by the number of the uplink that carries them: "vxlan flannel.1".
using Tunnels = std::map<std::uint32_t, std::vector<std::string>>;
using TunnelsNow = std::function<Tunnels()>;

// After AddNumbers: what the programs of uplinks do not see.
void AddTunnels(const Tunnels& tunnels, v1::AgentStatus* status);

// What is closed, though the agent enforces, and why: "shop/db-0: no interface v-db".
std::vector<std::string> ClosedLines(const reconcile::View& view);

}  // namespace sluice::api
