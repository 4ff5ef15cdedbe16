#include "ctrl/sluiced/container_sources.h"

#include <utility>

namespace sluice {
namespace {

std::string SourceOf(const policy::ObjectName& pod) { return "pod " + pod.ToString(); }

}  // namespace

// A pod that was deleted and made anew has the same name and another uid.
std::shared_ptr<const policy::PodOwner> ContainerSources::OwnerOf(const policy::ObjectName& pod,
                                                                  const std::string& uid) const {
  const auto found = pods_.find(pod);
  if (found == pods_.end()) return nullptr;
  const policy::Pod& known = *found->second;
  return uid == known.uid || (!uid.empty() && uid == known.config_hash) ? known.owner : nullptr;
}

void ContainerSources::NameContainers() {
  std::vector<telemetry::Container> named;
  for (const cri::Container& one : containers_) {
    named.push_back({.id = one.id, .name = one.name, .pod = one.pod, .owner = OwnerOf(one.pod, one.pod_uid)});
  }
  names_->Set("runtime", named);
}

void ContainerSources::NameSandboxes() {
  std::vector<telemetry::Container> named;
  for (const node::Sandbox& one : sandboxes_) {
    if (one.pod.name.empty()) continue;  // nor is its container known
    named.push_back({.id = one.id, .name = kSandboxContainer, .pod = one.pod, .owner = OwnerOf(one.pod, one.uid)});
  }
  names_->Set("sandboxes", named);
}

void ContainerSources::SetContainers(std::vector<cri::Container> containers) {
  const std::lock_guard lock(mutex_);
  containers_ = std::move(containers);
  NameContainers();
}

void ContainerSources::SetSandboxes(std::vector<node::Sandbox> sandboxes) {
  const std::lock_guard lock(mutex_);
  if (sandboxes == sandboxes_) return;
  sandboxes_ = std::move(sandboxes);
  NameSandboxes();
}

void ContainerSources::SetPod(const kube::KubeObject& object) {
  if (!object.pod || object.pod->node != node_) return;
  const policy::Pod& pod = *object.resource.pod;
  std::vector<telemetry::Container> named;
  for (const kube::KubePod::Container& one : object.pod->containers) {
    named.push_back({.id = one.id, .name = one.name, .pod = pod.name, .owner = pod.owner});
  }
  const std::lock_guard lock(mutex_);
  names_->Set(SourceOf(pod.name), named);
  std::shared_ptr<const policy::Pod>& known = pods_[pod.name];
  const auto owner = [](const policy::Pod& one) { return one.owner ? *one.owner : policy::PodOwner{}; };
  const bool same = known && known->uid == pod.uid && owner(*known) == owner(pod);
  known = object.resource.pod;
  if (same) return;
  NameContainers();
  NameSandboxes();
}

void ContainerSources::RemovePod(const policy::ObjectName& name) {
  const std::lock_guard lock(mutex_);
  if (pods_.erase(name) != 0) names_->Set(SourceOf(name), {});
}

}  // namespace sluice
