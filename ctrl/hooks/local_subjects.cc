#include "ctrl/hooks/local_subjects.h"

#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "ctrl/node/pod_cgroups.h"

namespace sluice::hooks {

std::uint64_t InodeOfFile(const std::string& path) {
  struct stat info {};
  return stat(path.c_str(), &info) == 0 ? info.st_ino : 0;
}

std::string CgroupRoot() {
  for (const std::string& root : node::MountedCgroupRoots()) {
    struct statfs info {};
    if (statfs(root.c_str(), &info) == 0 && info.f_type == CGROUP2_SUPER_MAGIC) return root;
  }
  return "";
}

std::vector<Subject> LocalSubjects(const policy::ResourceMap& resources, const Bindings& found,
                                   const std::string& cgroup_root, const InodeOf& inode) {
  std::vector<Subject> subjects;
  for (const auto& [id, resource] : resources.of(policy::Kind::kWorkload)) {
    const policy::Workload& workload = *resource.workload;
    Subject subject{.key = workload.name.ToString(), .cgroups = {}, .netns = {}, .facts = {}};
    subject.facts.ns = workload.name.ns;
    subject.facts.labels = workload.labels;
    std::uint64_t netns = 0;
    if (const auto bound = found.find(workload.name); bound != found.end()) {
      netns = bound->second.netns;
      subject.endpoint = bound->second.binding.endpoint;
    }
    if (netns == 0 && !workload.netns.empty()) netns = inode(workload.netns);
    if (netns != 0) subject.netns.push_back(static_cast<std::uint32_t>(netns));
    if (!workload.cgroup.empty() && !cgroup_root.empty()) {
      if (const std::uint64_t cgroup = inode(cgroup_root + workload.cgroup); cgroup != 0)
        subject.cgroups.push_back(cgroup);
    }
    if (!subject.netns.empty() || !subject.cgroups.empty()) subjects.push_back(std::move(subject));
  }
  return subjects;
}

bool IsSame(const Subject& one, const Subject& other) {
  return one.key == other.key && one.cgroups == other.cgroups && one.netns == other.netns &&
         one.endpoint == other.endpoint && one.facts.host == other.facts.host && one.facts.ns == other.facts.ns &&
         one.facts.labels == other.facts.labels && one.facts.container == other.facts.container &&
         one.facts.repository == other.facts.repository;
}

}  // namespace sluice::hooks
