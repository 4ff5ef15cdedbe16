#include "ctrl/node/cgroup_paths.h"

#include <dirent.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <fstream>
#include <memory>
#include <string_view>

namespace sluice::node {

std::optional<std::string> CgroupPaths::Look(std::uint32_t pid, std::uint64_t id) const {
  constexpr std::string_view kVersion2 = "0::";
  std::ifstream file(fmt::format("{}/{}/cgroup", proc_, pid));
  for (std::string line; std::getline(file, line);) {
    if (!line.starts_with(kVersion2)) continue;
    std::string path = line.substr(kVersion2.size());
    struct stat info {};
    // The inode is the id, so a process that has got the number of another one proves nothing.
    if (stat((root_ + path).c_str(), &info) != 0 || info.st_ino != id) return std::nullopt;
    return path;
  }
  return std::nullopt;
}

// The entries of a directory have the inodes.
void CgroupPaths::Walk(const std::string& path, int depth) {
  constexpr int kDeepest = 32;
  const std::unique_ptr<DIR, int (*)(DIR*)> directory(opendir((root_ + path).c_str()), closedir);
  if (directory == nullptr || depth > kDeepest) return;
  while (const dirent* const entry = readdir(directory.get())) {
    const std::string_view name = entry->d_name;
    if (entry->d_type != DT_DIR || name == "." || name == "..") continue;
    if (found_.size() >= kMostKept) return;
    const std::string below = fmt::format("{}/{}", path, name);
    found_.insert_or_assign(entry->d_ino, below);
    Walk(below, depth + 1);
  }
}

std::optional<std::string> CgroupPaths::Find(std::uint32_t pid, std::uint64_t id) {
  constexpr std::chrono::seconds kLookAgain{1};
  constexpr std::chrono::milliseconds kWalkAgain{200};
  if (root_.empty()) return std::nullopt;
  if (const auto known = found_.find(id); known != found_.end()) return known->second;
  const auto now = now_();
  if (const auto missed = missed_.find({id, pid}); missed != missed_.end() && now - missed->second < kLookAgain)
    return std::nullopt;
  if (auto path = Look(pid, id)) {
    if (found_.size() >= kMostKept) found_.clear();
    found_.emplace(id, *path);
    return path;
  }
  if (!walked_ || now - *walked_ >= kWalkAgain) {
    walked_ = now;
    found_.clear();  // of cgroups that have ended
    Walk("", 0);
    if (const auto known = found_.find(id); known != found_.end()) return known->second;
  }
  if (missed_.size() >= kMostKept) missed_.clear();
  missed_.insert_or_assign({id, pid}, now);
  return std::nullopt;
}

}  // namespace sluice::node
