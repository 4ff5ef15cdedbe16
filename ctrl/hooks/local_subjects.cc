#include "ctrl/hooks/local_subjects.h"

#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include <iterator>
#include <utility>

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

namespace {

// The workload whose cgroup is the nearest one above `path`; null: none.
const Subject* FindAbove(const std::map<std::string, std::size_t>& by_cgroup, const std::vector<Subject>& subjects,
                         std::string path) {
  while (!path.empty()) {
    path.resize(path.rfind('/') == std::string::npos ? 0 : path.rfind('/'));
    if (const auto found = by_cgroup.find(path); found != by_cgroup.end()) return &subjects[found->second];
  }
  return nullptr;
}

}  // namespace

std::vector<Subject> LocalSubjects(const policy::ResourceMap& resources, const Bindings& found,
                                   const std::vector<LocalContainer>& containers, const std::string& cgroup_root,
                                   const InodeOf& inode) {
  std::vector<Subject> subjects;
  std::map<std::string, std::size_t> by_cgroup;
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
    if (subject.netns.empty() && subject.cgroups.empty()) continue;
    if (!workload.cgroup.empty()) by_cgroup.emplace(workload.cgroup, subjects.size());
    subjects.push_back(std::move(subject));
  }
  std::vector<Subject> of_containers;
  for (const LocalContainer& container : containers) {
    const Subject* const workload =
        container.cgroup_id == 0 ? nullptr : FindAbove(by_cgroup, subjects, container.cgroup);
    if (workload == nullptr) continue;
    Subject subject = *workload;
    subject.key += "/" + container.id;
    subject.netns.clear();
    subject.cgroups = {container.cgroup_id};
    subject.facts.container = container.name;
    subject.facts.repository = container.repository;
    of_containers.push_back(std::move(subject));
  }
  std::move(of_containers.begin(), of_containers.end(), std::back_inserter(subjects));
  return subjects;
}

policy::ObjectName WorkloadOfKey(const std::string& key) {
  const std::size_t name = key.find('/') + 1;
  return {.ns = key.substr(0, name - 1), .name = key.substr(name, key.find('/', name) - name)};
}

bool IsContainerKey(const std::string& key) {
  const std::size_t name = key.find('/');
  return name != std::string::npos && key.find('/', name + 1) != std::string::npos;
}

bool IsSame(const Subject& one, const Subject& other) {
  return one.key == other.key && one.cgroups == other.cgroups && one.netns == other.netns &&
         one.endpoint == other.endpoint && one.facts.host == other.facts.host && one.facts.ns == other.facts.ns &&
         one.facts.labels == other.facts.labels && one.facts.container == other.facts.container &&
         one.facts.repository == other.facts.repository;
}

}  // namespace sluice::hooks
