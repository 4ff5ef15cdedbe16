#include "ctrl/node/process_owners.h"

namespace sluice::node {
namespace {

template <typename Key>
void Claim(std::map<Key, std::optional<policy::ObjectName>>& owners, const Key& key, const policy::ObjectName& name) {
  const auto [claimed, added] = owners.try_emplace(key, name);
  if (!added && claimed->second != name) claimed->second.reset();
}

std::string WithoutTrailingSlash(std::string path) {
  while (path.ends_with('/')) path.pop_back();
  return path;
}

}  // namespace

void ProcessOwners::Add(const policy::Workload& workload, std::uint64_t netns) {
  if (netns != 0) Claim(by_netns_, netns, workload.name);
  if (const std::string cgroup = WithoutTrailingSlash(workload.cgroup); !cgroup.empty()) {
    Claim(by_cgroup_, cgroup, workload.name);
  }
}

// The innermost cgroup that a workload claims wins.
std::optional<policy::ObjectName> ProcessOwners::Find(std::uint64_t netns, const std::string& cgroup) const {
  for (std::string path = by_cgroup_.empty() ? "" : WithoutTrailingSlash(cgroup); !path.empty();) {
    if (const auto found = by_cgroup_.find(path); found != by_cgroup_.end()) return found->second;
    const std::size_t slash = path.rfind('/');
    path.resize(slash == std::string::npos ? 0 : slash);
  }
  const auto found = by_netns_.find(netns);
  return found == by_netns_.end() ? std::nullopt : found->second;
}

}  // namespace sluice::node
