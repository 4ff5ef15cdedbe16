// The agent's process sensors: started where they can be; what it costs where they cannot.
#pragma once

#include "ctrl/reconcile/controller.h"
#include "ctrl/sluiced/options.h"
#include "kernel/bpf/features.h"
#include "telemetry/telemetry.h"

namespace sluice {

// During a hand-over from an older version, before our programs take over: who runs and who has which socket is known
// to our maps from then on. The probes go on until StartProcessSensors.
void SeedProcesses(const AgentOptions& options, const bpf::AdminCalls* calls);

// Enforcement needs no sensors: without them there is one warning. `calls` and `controller` outlive
// `telemetry`.
void StartProcessSensors(const AgentOptions& options, const std::string& node, const bpf::AdminCalls* calls,
                         const reconcile::Controller* controller, telemetry::Telemetry* telemetry);

// `sensor` null: there are none.
std::vector<bpf::Feature> ProcessFeatures(const AgentOptions& options, const telemetry::ProcessSensor* sensor);

}  // namespace sluice
