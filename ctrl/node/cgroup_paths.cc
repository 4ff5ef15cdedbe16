#include "ctrl/node/cgroup_paths.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <fstream>

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

std::optional<std::string> CgroupPaths::Find(std::uint32_t pid, std::uint64_t id) {
  constexpr std::chrono::seconds kLookAgain{1};
  if (root_.empty()) return std::nullopt;
  if (const auto known = found_.find(id); known != found_.end()) return known->second;
  const auto now = now_();
  if (const auto missed = missed_.find({id, pid}); missed != missed_.end() && now - missed->second < kLookAgain)
    return std::nullopt;
  auto path = Look(pid, id);
  if (path) {
    if (found_.size() >= kMostKept) found_.clear();
    found_.emplace(id, *path);
  } else {
    if (missed_.size() >= kMostKept) missed_.clear();
    missed_.insert_or_assign({id, pid}, now);
  }
  return path;
}

}  // namespace sluice::node
