// The node's workloads as subjects of hook policies: the kernel finds them by network namespace and cgroup.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "ctrl/node/binder.h"
#include "kernel/hooks/subjects.h"
#include "policy/resource/resource_map.h"

namespace sluice::hooks {

using Bindings = std::map<policy::ObjectName, node::BoundWorkload>;     // of the workloads that were found
using InodeOf = std::function<std::uint64_t(const std::string& path)>;  // 0: there is no such file

std::uint64_t InodeOfFile(const std::string& path);
// Where cgroups of version 2 are mounted; empty: nowhere.
std::string CgroupRoot();

// A subject for each Workload of `resources` that has a namespace or a cgroup on this node, also for those that are
// closed. Its key is the workload's name. Only cgroups of version 2 have ids.
std::vector<Subject> LocalSubjects(const policy::ResourceMap& resources, const Bindings& found,
                                   const std::string& cgroup_root, const InodeOf& inode);

bool IsSame(const Subject& one, const Subject& other);

}  // namespace sluice::hooks
