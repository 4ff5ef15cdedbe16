#include "ctrl/node/pod_cgroups.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>

namespace sluice::node {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kSlice = ".slice";
constexpr std::string_view kPods = "kubepods";

bool IsUid(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' || c == '.';
  });
}

// "x-kubepods.slice": the name, or the name behind a dash.
bool IsSliceOf(std::string_view name, std::string_view last) {
  if (!name.ends_with(kSlice)) return false;
  name.remove_suffix(kSlice.size());
  return name == last || (name.ends_with(last) && name[name.size() - last.size() - 1] == '-');
}

bool HoldsAllPods(std::string_view name) { return name == kPods || IsSliceOf(name, kPods); }

bool HoldsPodsOfAClass(std::string_view name) {
  return name == "burstable" || name == "besteffort" || IsSliceOf(name, "burstable") || IsSliceOf(name, "besteffort");
}

// Names of the directories in `directory`.
std::vector<std::string> Directories(const std::string& directory) {
  std::vector<std::string> names;
  std::error_code error;
  for (fs::directory_iterator one(directory, error), end; !error && one != end; one.increment(error)) {
    std::error_code unknown;
    if (one->is_directory(unknown) && !one->is_symlink(unknown)) names.push_back(one->path().filename().string());
  }
  return names;
}

void AddPods(const std::string& root, const std::string& path, bool with_classes, std::vector<PodCgroup>& pods) {
  for (const std::string& name : Directories(root + path)) {
    const std::string below = fmt::format("{}/{}", path, name);
    if (auto uid = PodUidOf(name)) {
      pods.push_back({.uid = *std::move(uid), .path = below, .directory = root + below});
    } else if (with_classes && HoldsPodsOfAClass(name)) {
      AddPods(root, below, false, pods);
    }
  }
}

// False: there is no kubelet's.
bool AddAllPods(const std::string& root, std::vector<PodCgroup>& pods) {
  bool found = false;
  const auto add = [&](const std::string& path) {
    found = true;
    AddPods(root, path, true, pods);
  };
  for (const std::string& name : Directories(root)) {
    if (HoldsAllPods(name)) {
      add("/" + name);
      continue;
    }
    for (const std::string& below : Directories(fmt::format("{}/{}", root, name))) {
      if (HoldsAllPods(below)) add(fmt::format("/{}/{}", name, below));
    }
  }
  return found;
}

}  // namespace

std::optional<std::string> PodUidOf(std::string_view name) {
  constexpr std::string_view kPod = "pod";
  if (!name.ends_with(kSlice)) {
    if (!name.starts_with(kPod) || !IsUid(name.substr(kPod.size()))) return std::nullopt;
    return std::string(name.substr(kPod.size()));
  }
  name.remove_suffix(kSlice.size());
  const std::size_t dash = name.rfind('-');  // the uid has none in this form
  if (dash == std::string_view::npos || !name.substr(dash + 1).starts_with(kPod)) return std::nullopt;
  std::string_view parent = name.substr(0, dash);
  for (const std::string_view of_class : {"-burstable", "-besteffort"}) {
    if (parent.ends_with(of_class)) parent.remove_suffix(of_class.size());
  }
  if (parent != kPods && !parent.ends_with("-kubepods")) return std::nullopt;
  std::string uid(name.substr(dash + 1 + kPod.size()));
  std::replace(uid.begin(), uid.end(), '_', '-');
  return IsUid(uid) ? std::optional(std::move(uid)) : std::nullopt;
}

// A root has inode 1: in a container, mounts of its own cgroup have another one.
std::vector<std::string> MountedCgroupRoots() {
  constexpr ino_t kRootInode = 1;
  std::vector<std::string> version_2, version_1;
  std::ifstream mounts("/proc/self/mountinfo");
  for (std::string line; std::getline(mounts, line);) {
    std::istringstream fields(line);
    std::string skipped, where, type;
    fields >> skipped >> skipped >> skipped >> skipped >> where;
    while (fields >> type && type != "-") {
    }
    if (!(fields >> type) || (type != "cgroup2" && type != "cgroup")) continue;
    struct stat facts {};
    if (stat(where.c_str(), &facts) != 0 || facts.st_ino != kRootInode) continue;
    (type == "cgroup2" ? version_2 : version_1).push_back(where);
  }
  version_2.insert(version_2.end(), version_1.begin(), version_1.end());
  return version_2;
}

StatusOr<std::vector<PodCgroup>> FindPodCgroups(const std::vector<std::string>& roots) {
  bool found = false;
  std::string looked_at;
  for (const std::string& root : roots) {
    std::vector<PodCgroup> pods;
    found = AddAllPods(root, pods) || found;
    if (!pods.empty()) return pods;
    looked_at += (looked_at.empty() ? "" : ", ") + root;
  }
  if (found) return std::vector<PodCgroup>();
  return MakeError(absl::StatusCode::kNotFound, "no kubelet has made its cgroups (kubepods) in {}",
                   looked_at.empty() ? "any hierarchy, as none is mounted" : looked_at);
}

}  // namespace sluice::node
