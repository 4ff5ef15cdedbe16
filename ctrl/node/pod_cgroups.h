// The cgroups of this node's pods, by the names that the kubelet gives them:
//   /kubepods/burstable/podUID                                         with the driver cgroupfs
//   /kubepods.slice/kubepods-burstable.slice/kubepods-burstable-podUID.slice    with systemd; UID has _ for -
// Pods of the class Guaranteed are one level higher. `kubelet --cgroup-root=/x` adds one: /x/kubepods, and
// /x.slice/x-kubepods.slice. Thread-safe.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace sluice::node {

struct PodCgroup {
  std::string uid;        // of the pod; a static pod's is its config hash
  std::string path;       // in its hierarchy
  std::string directory;  // where that is mounted
};

// The uid in the name of a directory; nothing: it is no pod's.
std::optional<std::string> PodUidOf(std::string_view name);

// Where this process sees roots of cgroup hierarchies: that of version 2 first, then those of version 1.
std::vector<std::string> MountedCgroupRoots();

// The pods of the first of `roots` that has some. Only a kubelet of this machine counts: the cgroups of one inside a
// container are deeper down. NotFound: none has a kubelet's cgroups, which says nothing about the node's pods.
StatusOr<std::vector<PodCgroup>> FindPodCgroups(const std::vector<std::string>& roots);

}  // namespace sluice::node
