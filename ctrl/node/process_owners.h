// Finds the workload of a process: by its cgroup if a workload names that, else by its network namespace. A value.
//   ProcessOwners owners;
//   owners.Add(workload, netns_inode);
//   owners.Find(netns_inode, "/kubepods/web-0/scope");
#pragma once

#include <map>
#include <optional>
#include <string>

#include "policy/resource/model.h"

namespace sluice::node {

class ProcessOwners {
 public:
  // `netns`: inode number of the workload's network namespace; 0: not known.
  void Add(const policy::Workload& workload, std::uint64_t netns);

  // `cgroup`: a path in its hierarchy. `netns` 0: not known. Nothing: it belongs to no workload, or several claim it.
  std::optional<policy::ObjectName> Find(std::uint64_t netns, const std::string& cgroup) const;

 private:
  using Owner = std::optional<policy::ObjectName>;  // none: several workloads claim it
  std::map<std::uint64_t, Owner> by_netns_;
  std::map<std::string, Owner> by_cgroup_;
};

}  // namespace sluice::node
