#include "kernel/bpf/cgroup_root.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>
#include <fstream>
#include <sstream>
#include <string>

namespace sluice::bpf {
namespace {

// The mount point of the root of the default hierarchy. The root has inode 1. Its path in mountinfo does not tell: in a
// container with a cgroup namespace of its own, "/" is the container's cgroup, and the root is "/../..".
StatusOr<std::string> CgroupRoot() {
  constexpr ino_t kRootInode = 1;
  std::ifstream mounts("/proc/self/mountinfo");
  for (std::string line; std::getline(mounts, line);) {
    std::istringstream fields(line);
    std::string id, parent, device, root, where, rest;
    fields >> id >> parent >> device >> root >> where;
    while (fields >> rest && rest != "-") {
    }
    struct stat facts {};
    if (fields >> rest && rest == "cgroup2" && stat(where.c_str(), &facts) == 0 && facts.st_ino == kRootInode)
      return where;
  }
  return MakeError(
      absl::StatusCode::kFailedPrecondition,
      "the root of a cgroup2 file system is not mounted: programs at sockets attach to it (mount -t cgroup2 "
      "none DIR; in a container: mount the node's /sys/fs/cgroup)");
}

}  // namespace

StatusOr<Fd> OpenCgroupRoot() {
  SL_ASSIGN_OR_RETURN(const std::string path, CgroupRoot());
  Fd root(open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!root.valid()) return ErrnoError(errno, "open {}", path);
  return root;
}

}  // namespace sluice::bpf
