#include "ctrl/respond/killer.h"

#include <algorithm>
#include <charconv>
#include <set>
#include <unordered_map>
#include <utility>

#include "ctrl/respond/process_handle.h"

namespace sluice::respond {
namespace {

using telemetry::ProcessInstance;

constexpr int kMostSearches = 32;
constexpr int kMostSteps = 1024;  // from a process up to its ancestor
constexpr std::size_t kMostKilled = 20'000;

// What tells a process from others, whatever it runs.
using Life = std::pair<std::uint32_t, std::uint64_t>;
Life LifeOf(const ProcessInstance& instance) { return {instance.pid, instance.birth_ns}; }

std::uint64_t StartOf(const std::string& exec_id) {
  const std::size_t colon = exec_id.rfind(':');
  std::uint64_t start_ns = 0;
  if (colon != std::string::npos)
    std::from_chars(exec_id.data() + colon + 1, exec_id.data() + exec_id.size(), start_ns);
  return start_ns;
}

}  // namespace

std::optional<ProcessInstance> Killer::Find(std::uint32_t pid, const std::string& exec_id) const {
  const std::uint64_t start_ns = StartOf(exec_id);
  if (sources_.tree == nullptr || start_ns == 0) return std::nullopt;
  auto living = sources_.tree->FindByPid(pid);
  auto instance = living;
  for (int step = 0; step < kMostSteps && instance && instance->birth_ns == living->birth_ns; ++step) {
    if (instance->start_ns == start_ns) return living;
    instance = instance->previous == 0 ? std::nullopt : sources_.tree->Find(instance->previous);
  }
  return std::nullopt;
}

Status Killer::KillOne(const ProcessInstance& process, Killed* killed) const {
  const bool is_own =
      process.pid <= 1 || std::find(sources_.never.begin(), sources_.never.end(), process.pid) != sources_.never.end();
  if (is_own || (process.flags & SL_PROCESS_KERNEL_THREAD) != 0) {
    return MakeError(absl::StatusCode::kPermissionDenied, "process {} is never ended: it is the agent or the system's",
                     process.pid);
  }
  auto handle = ProcessHandle::Open(process.pid, process.birth_ns);
  if (absl::IsNotFound(handle.status())) return OkStatus();
  SL_RETURN_IF_ERROR(handle.status());
  const Status sent = sources_.kill(handle->fd());
  if (absl::IsNotFound(sent)) return OkStatus();
  if (!sent.ok()) return Annotate(sent, fmt::format("kill process {}", process.pid));
  killed->processes.push_back(process);
  return OkStatus();
}

Killer::Killed Killer::Kill(const ProcessInstance& root) const {
  Killed killed;
  killed.status = KillOne(root, &killed);
  return killed;
}

// Living ones, in no order.
std::vector<ProcessInstance> Killer::Descendants(const ProcessInstance& root) const {
  const Life wanted = LifeOf(root);
  std::unordered_map<sl_process_id, bool> is_below;  // of instances: it, or an ancestor, is the root
  std::vector<ProcessInstance> found;
  for (ProcessInstance& living : sources_.tree->Living()) {
    std::vector<sl_process_id> path;
    std::optional<ProcessInstance> at = living;
    bool below = false;
    for (int step = 0; step < kMostSteps && at; ++step) {
      if (const auto known = is_below.find(at->id); known != is_below.end()) {
        below = known->second;
        break;
      }
      path.push_back(at->id);
      if (LifeOf(*at) == wanted) {
        below = true;
        break;
      }
      at = at->parent == 0 ? std::nullopt : sources_.tree->Find(at->parent);
    }
    for (const sl_process_id id : path) is_below[id] = below;
    if (below && LifeOf(living) != wanted) found.push_back(std::move(living));
  }
  return found;
}

Killer::Killed Killer::KillTree(const ProcessInstance& root, const MayKill& may_kill) const {
  Killed killed = Kill(root);
  std::set<Life> tried{LifeOf(root)};
  for (int search = 0; search < kMostSearches && tried.size() < kMostKilled; ++search) {
    if (sources_.catch_up) sources_.catch_up();
    bool found_more = false;
    for (const ProcessInstance& process : Descendants(root)) {
      if (!tried.insert(LifeOf(process)).second || !may_kill(process)) continue;
      found_more = true;
      killed.status.Update(KillOne(process, &killed));
    }
    if (!found_more) break;
  }
  return killed;
}

}  // namespace sluice::respond
