// Names the containers of this node's pods: what the container runtime says of them, joined with what the API server
// says of their pods. Thread-safe.
//   ContainerSources sources("node-1", &names);
//   sources.SetPod(object);
//   sources.SetContainers(runtime.containers());
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "ctrl/cri/sandbox_watch.h"
#include "ctrl/kube/objects.h"
#include "telemetry/process/container_names.h"

namespace sluice {

// The name of a container that holds a pod's namespaces. No container of a pod can have it: it is no DNS label.
inline constexpr char kSandboxContainer[] = "POD";

class ContainerSources {
 public:
  // `node`: as pods name it in spec.nodeName. `names` outlives this.
  ContainerSources(std::string node, telemetry::ContainerNames* names) : node_(std::move(node)), names_(names) {}

  // All of the runtime, and all sandboxes that are known.
  void SetContainers(std::vector<cri::Container> containers);
  void SetSandboxes(std::vector<node::Sandbox> sandboxes);
  // Of the API server; pods of other nodes are passed over.
  void SetPod(const kube::KubeObject& object);
  void RemovePod(const policy::ObjectName& name);

 private:
  // By mutex_, as all below.
  std::shared_ptr<const policy::PodOwner> OwnerOf(const policy::ObjectName& pod, const std::string& uid) const;
  void NameContainers();
  void NameSandboxes();

  const std::string node_;
  telemetry::ContainerNames* const names_;
  std::mutex mutex_;
  std::map<policy::ObjectName, std::shared_ptr<const policy::Pod>> pods_;  // of this node
  std::vector<cri::Container> containers_;
  std::vector<node::Sandbox> sandboxes_;
};

}  // namespace sluice
