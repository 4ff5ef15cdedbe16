// Where a pod sandbox or container is, from the JSON that a runtime adds to a verbose status (info["info"]). The form
// is the runtime's own; containerd and CRI-O both have the OCI spec in it (runtimeSpec). Pure functions.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/status.h"

namespace sluice::cri {

struct RuntimeInfo {
  std::string netns;       // path of the network namespace; empty: the runtime names none
  std::uint32_t pid = 0;   // of the first process, in the runtime's pid namespace; 0: none or not known
  std::string cgroup;      // path in its hierarchy; empty: not known
  std::string pod_cgroup;  // that of the pod around it; empty: not known
  bool netns_closed = false;
  // Absent: the runtime does not say. containerd says it where it repeats what it was asked to make.
  std::optional<bool> privileged;
  std::string image;  // of a container, as the kubelet asked for it: "sha256:..."; empty: not known
};

// InvalidArgument: no JSON object, or a field has another type than it should.
StatusOr<RuntimeInfo> ParseRuntimeInfo(const std::string& json);

// An OCI cgroupsPath as a path in the hierarchy. With the systemd driver it is SLICE:PREFIX:NAME:
//   kubepods-pod1.slice:crio:ab -> /kubepods.slice/kubepods-pod1.slice/crio-ab.scope
std::string CgroupPath(const std::string& cgroups_path);

}  // namespace sluice::cri
