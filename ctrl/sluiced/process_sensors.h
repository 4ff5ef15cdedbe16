// The agent's process sensors: starts them if possible, and says what is missing without them.
#pragma once

#include "ctrl/reconcile/controller.h"
#include "ctrl/sluiced/options.h"
#include "kernel/bpf/features.h"
#include "telemetry/telemetry.h"

namespace sluice {

// During a hand-over from an older version, before our programs take over: from then on our maps know the running
// processes and their sockets. The probes stay active until StartProcessSensors.
void SeedProcesses(const AgentOptions& options, const bpf::AdminCalls* calls);

// Enforcement needs no sensors: without them there is one warning. `calls` and `controller` outlive
// `telemetry`.
void StartProcessSensors(const AgentOptions& options, const std::string& node, const bpf::AdminCalls* calls,
                         const reconcile::Controller* controller, telemetry::Telemetry* telemetry);

// `sensor` null: there are none.
std::vector<bpf::Feature> ProcessFeatures(const AgentOptions& options, const telemetry::ProcessSensor* sensor);

}  // namespace sluice
