// The running processes, as `get processes` lists them.
#pragma once

#include <functional>

#include "api/sluice.pb.h"
#include "telemetry/process/process_sensor.h"

namespace sluice::api {

// Those of the request's namespace and workload, if it names them; by start, without kernel threads. One by one,
// because all of them with their arguments can be large. `consume` returns false to stop.
void ListRunningProcesses(const telemetry::ProcessTree& tree, const telemetry::ProcessEvents& events,
                          const v1::GetRequest& request, const std::function<bool(v1::RunningProcess)>& consume);

}  // namespace sluice::api
