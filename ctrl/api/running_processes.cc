#include "ctrl/api/running_processes.h"

#include <algorithm>
#include <unordered_map>

namespace sluice::api {
namespace {

using telemetry::ProcessLife;

bool IsWanted(const v1::RunningProcess& process, const v1::GetRequest& request) {
  return (request.namespace_().empty() || request.namespace_() == process.namespace_()) &&
         (request.name().empty() || request.name() == process.workload());
}

// Lives end at each exec, so an ancestor lives when a later life of the same process does.
std::optional<std::uint32_t> LivingParent(const telemetry::ProcessTree& tree,
                                          const std::unordered_map<std::uint32_t, std::uint64_t>& births,
                                          const ProcessLife& life) {
  for (const ProcessLife& ancestor : tree.Ancestors(life.id)) {
    if (ancestor.pid == life.pid && ancestor.birth_ns == life.birth_ns) continue;  // itself, before an exec
    const auto living = births.find(ancestor.pid);
    if (living != births.end() && living->second == ancestor.birth_ns) return ancestor.pid;
  }
  return std::nullopt;
}

}  // namespace

std::vector<v1::RunningProcess> ToRunningProcesses(const telemetry::ProcessTree& tree,
                                                   const telemetry::ProcessEvents& events,
                                                   const v1::GetRequest& request) {
  std::vector<ProcessLife> living = tree.Living();
  std::erase_if(living, [](const ProcessLife& life) { return (life.flags & SL_PROCESS_KERNEL_THREAD) != 0; });
  std::sort(living.begin(), living.end(), [](const ProcessLife& a, const ProcessLife& b) {
    return std::pair(a.birth_ns, a.pid) < std::pair(b.birth_ns, b.pid);
  });
  std::unordered_map<std::uint32_t, std::uint64_t> births;
  for (const ProcessLife& life : living) births.emplace(life.pid, life.birth_ns);
  std::vector<v1::RunningProcess> running;
  for (const ProcessLife& life : living) {
    v1::RunningProcess process;
    if (const auto workload = events.WorkloadOf(life)) {
      process.set_namespace_(workload->ns);
      process.set_workload(workload->name);
    }
    if (!IsWanted(process, request)) continue;
    events.ToProto(life, process.mutable_process());
    if (const auto parent = LivingParent(tree, births, life)) process.set_parent_pid(*parent);
    running.push_back(std::move(process));
  }
  return running;
}

}  // namespace sluice::api
