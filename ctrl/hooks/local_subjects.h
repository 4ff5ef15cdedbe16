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

// A container of a pod of this node.
struct LocalContainer {
  std::string id;               // the runtime's
  std::string name;             // in its pod
  std::string repository;       // of its image, without tag and digest; empty: not known
  std::string cgroup;           // path in its hierarchy, below that of its pod
  std::uint64_t cgroup_id = 0;  // 0: it does not exist yet
  bool operator==(const LocalContainer&) const = default;
};

std::uint64_t InodeOfFile(const std::string& path);
// Where cgroups of version 2 are mounted; empty: nowhere.
std::string CgroupRoot();

// A subject for each Workload of `resources` that has a namespace or a cgroup on this node, also for those that are
// closed; and for each container whose cgroup is below a Workload's. The key is the workload's name, of a container
// with the container's id behind it: "shop/web" and "shop/web/0123". Only cgroups of version 2 have ids.
std::vector<Subject> LocalSubjects(const policy::ResourceMap& resources, const Bindings& found,
                                   const std::vector<LocalContainer>& containers, const std::string& cgroup_root,
                                   const InodeOf& inode);

// The name of the workload of a subject with this key.
policy::ObjectName WorkloadOfKey(const std::string& key);
// Whether the subject is a container, and no workload as a whole.
bool IsContainerKey(const std::string& key);

bool IsSame(const Subject& one, const Subject& other);

}  // namespace sluice::hooks
