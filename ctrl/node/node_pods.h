// Pods of this node -> the Workloads to enforce on. A container runtime, a CNI plugin or PodFinder knows where a pod is
// (Sandbox), the API server knows what it is (policy::Pod); this joins both. Not thread-safe.
//   NodePods pods;
//   pods.SetSandboxes(runtime.sandboxes());
//   controller.SetKubernetes(pods.AddTo(api_server.resources()));
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "policy/resource/resource_map.h"

namespace sluice::node {

// A pod's network namespace, as the kubelet had it made.
struct Sandbox {
  policy::ObjectName pod;          // empty: only its uid is known (PodFinder)
  std::string uid;                 // of the pod; a static pod's is its config hash
  std::string id;                  // of the sandbox; of PodFinder: the number of the network namespace
  std::string netns;               // path of the namespace; empty: the host's, there is nothing to enforce on
  std::string interface = "eth0";  // inside it
  std::string cgroup;              // the pod's, as a path in its hierarchy; empty: not known
  bool operator==(const Sandbox&) const = default;
};

// The namespace of Workloads for pods whose name is not known; their names are the pods' uids.
inline constexpr char kUnknownNamespace[] = "unknown";

class NodePods {
 public:
  // All of this node, the newest of a pod last.
  void SetSandboxes(std::vector<Sandbox> sandboxes);

  // Adds a Workload for each sandbox. It has the labels and ports of the pod, and is closed (Workload::closed_because)
  // while the API server does not know a pod of that name and uid. A pod's name is its Workload's; a second sandbox of
  // the same name, as a pod leaves it that was deleted by force and made anew, has the sandbox's id behind it. A
  // sandbox without a pod's name has that of the pod with its uid; while there is none, its Workload is
  // kUnknownNamespace/UID. While no sandbox and no pod of one changes, the Workloads are shared with those of the call
  // before.
  policy::ResourceMap AddTo(policy::ResourceMap kubernetes);

 private:
  struct Made {
    Sandbox sandbox;
    std::shared_ptr<const policy::Pod> pod;  // null: not known
    policy::Resource workload;
  };

  std::vector<Sandbox> Named(const policy::ResourceMap& kubernetes);

  std::vector<Sandbox> sandboxes_;
  policy::ResourceMap indexed_;                             // whose pods names_by_uid_ has
  std::map<std::string, policy::ObjectName> names_by_uid_;  // of pods, also by their config hashes
  std::map<policy::ObjectName, Made> made_;                 // by the Workload's name
  policy::ResourceMap workloads_;                           // those of made_
};

}  // namespace sluice::node
