// The processes that live, as `get processes` lists them.
#pragma once

#include <functional>

#include "api/sluice.pb.h"
#include "telemetry/process/process_sensor.h"

namespace sluice::api {

// Of workloads in `request`'s namespace and of its name, where it names them; by start. No kernel threads. One by one:
// with their arguments all together can be large. `consume` returns false when it has enough.
void ListRunningProcesses(const telemetry::ProcessTree& tree, const telemetry::ProcessEvents& events,
                          const v1::GetRequest& request, const std::function<bool(v1::RunningProcess)>& consume);

}  // namespace sluice::api
