#include "ctrl/node/pod_finder.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <utility>

namespace sluice::node {
namespace {

namespace fs = std::filesystem;

// Of one container; its first process comes first, or not much later.
constexpr std::size_t kMaxProcesses = 64;
constexpr std::size_t kMaxDirectories = 64;
constexpr int kMaxCgroupLevels = 4;  // of cgroups inside a container
constexpr std::chrono::seconds kFirstWait{1};

// Processes of the cgroup, and of those below it until `pids` has kMaxProcesses.
void AddProcesses(const fs::path& cgroup, int levels, std::size_t& directories, std::vector<pid_t>& pids) {
  if (++directories > kMaxDirectories) return;
  std::ifstream file(cgroup / "cgroup.procs");
  // 0: a process outside of this process's pid namespace.
  for (pid_t pid = 0; pids.size() < kMaxProcesses && file >> pid;) {
    if (pid > 0) pids.push_back(pid);
  }
  if (levels == 0) return;
  std::error_code error;
  for (fs::directory_iterator one(cgroup, error), end; !error && one != end; one.increment(error)) {
    std::error_code unknown;
    if (pids.size() >= kMaxProcesses) return;
    if (one->is_directory(unknown)) AddProcesses(one->path(), levels - 1, directories, pids);
  }
}

// Of each container apart, so that none can hide the one that holds the pod's namespaces.
std::vector<pid_t> ProcessesOf(const std::string& pod) {
  std::vector<pid_t> all;
  const auto add = [&](const fs::path& cgroup, int levels) {
    std::size_t directories = 0;
    std::vector<pid_t> pids;
    AddProcesses(cgroup, levels, directories, pids);
    all.insert(all.end(), pids.begin(), pids.end());
  };
  add(pod, 0);
  std::error_code error;
  for (fs::directory_iterator one(pod, error), end; !error && one != end; one.increment(error)) {
    std::error_code unknown;
    if (one->is_directory(unknown)) add(one->path(), kMaxCgroupLevels);
  }
  return all;
}

// In clock ticks since boot; 0: the process has gone. The name in the second field may have spaces and brackets.
std::uint64_t StartOf(const std::string& process) {
  constexpr int kBehindName = 20;  // field 22
  std::ifstream file(process + "/stat");
  std::string text;
  std::getline(file, text);
  const std::size_t name = text.rfind(')');
  if (name == std::string::npos) return 0;
  std::istringstream fields(text.substr(name + 1));
  std::string field;
  for (int i = 1; i < kBehindName; ++i) fields >> field;
  std::uint64_t started = 0;
  return fields >> started ? started : 0;
}

}  // namespace

// Read anew for each Find: a file system of names has no version.
const std::map<PodFinder::Identity, std::string>& PodFinder::Names() {
  if (names_) return *names_;
  names_.emplace();
  for (const std::string& directory : options_.netns_directories) {
    std::error_code error;
    for (fs::directory_iterator one(directory, error), end; !error && one != end; one.increment(error)) {
      const std::string path = one->path().string();
      if (const auto id = net::NetNs::IdentityOf(path); id.ok()) names_->try_emplace(*id, path);
    }
  }
  return *names_;
}

// Of an agent on its node both are one. Process 1 may be another user's, and tell nothing.
StatusOr<std::set<PodFinder::Identity>> PodFinder::HostsOwn() const {
  SL_ASSIGN_OR_RETURN(const Identity own, net::NetNs::IdentityOf(options_.proc + "/self/ns/net"));
  std::set<Identity> all{own};
  if (const auto first = net::NetNs::IdentityOf(options_.proc + "/1/ns/net"); first.ok()) all.insert(*first);
  return all;
}

std::map<PodFinder::Identity, PodFinder::Candidate> PodFinder::NamespacesOf(const PodCgroup& pod, bool* on_host,
                                                                            std::string* problem) {
  std::map<Identity, Candidate> found;
  for (const pid_t pid : ProcessesOf(pod.directory)) {
    const std::string process = options_.proc + "/" + std::to_string(pid);
    const std::string path = process + "/ns/net";
    const auto id = net::NetNs::IdentityOf(path);
    if (absl::IsNotFound(id.status())) continue;  // it has ended
    if (!id.ok()) {
      *problem = Message(id.status());
      continue;
    }
    if (host_.contains(*id)) {
      *on_host = true;
      continue;
    }
    const std::uint64_t started = StartOf(process);
    if (started == 0) continue;
    Candidate& one = found[*id];
    if (!one.path.empty() && one.started <= started) continue;
    one.started = started;
    one.path = path;
  }
  for (auto& [id, one] : found) {
    const auto name = Names().find(id);
    one.has_name = name != Names().end();
    if (one.has_name) one.path = name->second;
  }
  return found;
}

// A process may make itself a network namespace of its own, but only a runtime gives one a name on the host: so one
// with a name is the pod's. Of several, the one that was entered first: the pod's first process holds its namespaces.
void PodFinder::Look(const PodCgroup& pod, Time now, Seen& seen) {
  ++looked_;
  bool on_host = false;
  std::string problem;
  const auto found = NamespacesOf(pod, &on_host, &problem);
  const auto is_better = [](const auto& a, const auto& b) {
    if (a.second.has_name != b.second.has_name) return a.second.has_name;
    return a.second.started < b.second.started;
  };
  const auto best = std::min_element(found.begin(), found.end(), is_better);
  if (best != found.end()) {
    seen = {.netns = best->first, .started = best->second.started, .path = best->second.path, .wait = kAgain};
  } else if (!problem.empty()) {
    ++unread_;
    unread_error_ = fmt::format("pod with uid {}: {}", pod.uid, problem);
  }
  // A runtime moves a process into the pod's cgroup before it moves it into the pod's namespaces: what is on the host's
  // network may be so for a moment only. Without a process, the next search looks again.
  if (best == found.end()) {
    seen.wait = on_host ? std::clamp(2 * seen.wait, kFirstWait, kAgain) : std::chrono::seconds(0);
  }
  seen.again = now + seen.wait;
}

StatusOr<std::vector<Sandbox>> PodFinder::Find(Time now) {
  names_.reset();
  unread_ = 0;
  unread_error_.clear();
  SL_ASSIGN_OR_RETURN(host_, HostsOwn());
  SL_ASSIGN_OR_RETURN(const std::vector<PodCgroup> pods,
                      FindPodCgroups(options_.cgroup_roots.empty() ? MountedCgroupRoots() : options_.cgroup_roots));
  std::map<std::string, Seen> seen_now;
  std::vector<std::pair<std::uint64_t, Sandbox>> found;
  for (const PodCgroup& pod : pods) {
    Seen& seen = seen_now[pod.directory];
    if (const auto before = seen_.find(pod.directory); before != seen_.end()) seen = before->second;
    if (!seen.path.empty()) {
      const auto still = net::NetNs::IdentityOf(seen.path);
      if (!still.ok() || *still != seen.netns) seen = {};
    }
    if (seen.again <= now) Look(pod, now, seen);
    if (seen.path.empty()) continue;
    found.emplace_back(
        seen.started,
        Sandbox{
            .pod = {}, .uid = pod.uid, .id = std::to_string(seen.netns.inode), .netns = seen.path, .cgroup = pod.path});
  }
  seen_ = std::move(seen_now);
  std::sort(found.begin(), found.end(), [](const auto& a, const auto& b) {
    return a.first != b.first ? a.first < b.first : a.second.uid < b.second.uid;
  });
  std::vector<Sandbox> sandboxes;
  for (auto& [started, sandbox] : found) sandboxes.push_back(std::move(sandbox));
  return sandboxes;
}

}  // namespace sluice::node
