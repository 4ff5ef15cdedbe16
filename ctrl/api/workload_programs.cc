#include "ctrl/api/workload_programs.h"

#include <algorithm>

namespace sluice::api {
namespace {

using telemetry::ProcessInstance;

// Containers of a workload, and processes that are tried in each.
constexpr std::size_t kMaxNamespaces = 16;
constexpr std::size_t kMaxPids = 4;

}  // namespace

// Skips processes that made a mount namespace of their own: paths there are not those that rules name.
void WorkloadPrograms::LookAtProcesses() {
  has_looked_ = true;
  if (sensor_ == nullptr) return;
  for (const ProcessInstance& instance : sensor_->tree().Living()) {
    constexpr std::uint32_t kOther = SL_PROCESS_KERNEL_THREAD | SL_PROCESS_OTHER_MOUNTS;
    if ((instance.flags & kOther) != 0 || instance.incomplete || instance.namespaces.mnt == 0) continue;
    const auto workload = sensor_->events().WorkloadOf(instance);
    if (!workload) continue;
    std::vector<MountNamespace>& own = namespaces_[*workload];
    auto found = std::find_if(own.begin(), own.end(),
                              [&](const MountNamespace& one) { return one.number == instance.namespaces.mnt; });
    if (found == own.end()) {
      if (own.size() == kMaxNamespaces) continue;
      found = own.insert(own.end(), {.number = instance.namespaces.mnt, .pids = {}});
    }
    if (found->pids.size() < kMaxPids) found->pids.push_back(instance.pid);
  }
}

std::vector<node::ProcessRoot>& WorkloadPrograms::RootsOf(const policy::ObjectName& workload) {
  if (!has_looked_) LookAtProcesses();
  const auto [roots, is_new] = roots_.try_emplace(workload);
  if (!is_new) return roots->second;
  for (const MountNamespace& one : namespaces_[workload]) {
    for (const std::uint32_t pid : one.pids) {
      auto root = node::ProcessRoot::Open(static_cast<pid_t>(pid), one.number);
      if (!root.ok()) continue;
      roots->second.push_back(*std::move(root));
      break;
    }
  }
  return roots->second;
}

std::vector<explain::ProgramFile> WorkloadPrograms::Find(const policy::ObjectName& workload, const std::string& path) {
  std::vector<explain::ProgramFile> files;
  for (const node::ProcessRoot& root : RootsOf(workload)) {
    if (auto file = root.Find(path)) files.push_back({.path = std::move(file->path), .is_script = file->is_script});
  }
  return files;
}

}  // namespace sluice::api
