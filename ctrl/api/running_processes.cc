#include "ctrl/api/running_processes.h"

#include <algorithm>

namespace sluice::api {
namespace {

using telemetry::ProcessInstance;

bool IsWanted(const v1::RunningProcess& process, const v1::GetRequest& request) {
  return (request.namespace_().empty() || request.namespace_() == process.namespace_()) &&
         (request.name().empty() || request.name() == process.workload());
}

}  // namespace

void ListRunningProcesses(const telemetry::ProcessTree& tree, const telemetry::ProcessEvents& events,
                          const v1::GetRequest& request, const std::function<bool(v1::RunningProcess)>& consume) {
  std::vector<ProcessInstance> living = tree.Living();
  std::erase_if(living,
                [](const ProcessInstance& instance) { return (instance.flags & SL_PROCESS_KERNEL_THREAD) != 0; });
  std::sort(living.begin(), living.end(), [](const ProcessInstance& a, const ProcessInstance& b) {
    return std::pair(a.birth_ns, a.pid) < std::pair(b.birth_ns, b.pid);
  });
  for (const ProcessInstance& instance : living) {
    v1::RunningProcess process;
    if (const auto workload = events.WorkloadOf(instance)) {
      process.set_namespace_(workload->ns);
      process.set_workload(workload->name);
    }
    if (!IsWanted(process, request)) continue;
    events.ToProto(instance, process.mutable_process());
    if (const auto parent = tree.LivingParent(instance.id)) process.set_parent_pid(*parent);
    if (!consume(std::move(process))) return;
  }
}

}  // namespace sluice::api
