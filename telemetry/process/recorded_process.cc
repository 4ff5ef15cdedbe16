#include "telemetry/process/recorded_process.h"

namespace sluice::telemetry {

std::optional<ProcessInstance> FindRecorded(const ProcessTree& tree, const RecordedProcess& process) {
  if (auto instance = tree.Find(process.id); instance && instance->pid == process.pid) return instance;
  auto living = tree.FindByPid(process.pid);
  return living && process.birth_ns != 0 && living->birth_ns == process.birth_ns ? living : std::nullopt;
}

ProcessInstance UnknownInstance(const RecordedProcess& process) {
  ProcessInstance instance;
  instance.pid = process.pid;
  instance.cgroup = process.cgroup;
  instance.birth_ns = process.birth_ns;
  return instance;
}

bool IsAwaited(const ProcessTree& tree, const RecordedProcess& process) {
  return process.id != 0 && !tree.Find(process.id);
}

}  // namespace sluice::telemetry
