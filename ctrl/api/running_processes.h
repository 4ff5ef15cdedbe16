// The processes that live, as `get processes` lists them.
#pragma once

#include "ctrl/api/sluice.pb.h"
#include "telemetry/process_sensor.h"

namespace sluice::api {

// Of workloads in `request`'s namespace and of its name, where it names them; by start. No kernel threads.
std::vector<v1::RunningProcess> ToRunningProcesses(const telemetry::ProcessTree& tree,
                                                   const telemetry::ProcessEvents& events,
                                                   const v1::GetRequest& request);

}  // namespace sluice::api
