// Cgroups as a container runtime makes them, below one of this test's own in the version 2 hierarchy.
//   ContainerCgroups cgroups;
//   SL_SKIP_OR_FAIL_IF(cgroups.Missing());
//   Run({"sh", "-c", cgroups.Enter(id) + "exec /bin/true"});
//   Run({"sh", "-c", cgroups.EnterPod("uid-web", id) + "exec /bin/true"});
#pragma once

#include <fmt/format.h>
#include <unistd.h>

#include <filesystem>
#include <string>
#include <vector>

namespace sluice::test {

class ContainerCgroups {
 public:
  ContainerCgroups() {
    namespace fs = std::filesystem;
    const std::string root = fs::exists("/sys/fs/cgroup/cgroup.procs") ? "/sys/fs/cgroup" : "/sys/fs/cgroup/unified";
    const std::string own = fmt::format("{}/sluice-test-{}", root, getpid());
    std::error_code error;
    if (fs::exists(root + "/cgroup.procs") && fs::create_directory(own, error)) own_ = own;
  }
  ~ContainerCgroups() {
    std::error_code ignored;
    for (auto made = made_.rbegin(); made != made_.rend(); ++made) std::filesystem::remove(*made, ignored);
    if (!own_.empty()) std::filesystem::remove(own_, ignored);
  }
  ContainerCgroups(const ContainerCgroups&) = delete;
  ContainerCgroups& operator=(const ContainerCgroups&) = delete;

  std::string Missing() const { return own_.empty() ? "no cgroup of version 2 can be made (CONFIG_CGROUPS)" : ""; }
  // The directory of the container's cgroup.
  std::string Directory(const std::string& container) {
    Make(own_ + "/" + container);
    return own_ + "/" + container;
  }
  // A line of shell that puts the shell into the container's cgroup. `below`: a cgroup inside it.
  std::string Enter(const std::string& container, const std::string& below = "") {
    Make(own_ + "/" + container);
    if (!below.empty()) Make(own_ + "/" + container + "/" + below);
    return fmt::format("echo $$ >{}/{}/{}/cgroup.procs\n", own_, container, below);
  }
  // The same for a container of a pod, in a cgroup of a kubelet that has this test's own as its root.
  std::string EnterPod(const std::string& uid, const std::string& container) {
    std::string path;
    for (const std::string& name : {std::string("kubepods"), std::string("besteffort"), "pod" + uid, container}) {
      if (name.empty()) continue;
      path += "/" + name;
      Make(own_ + path);
    }
    return fmt::format("echo $$ >{}{}/cgroup.procs\n", own_, path);
  }
  // Of a cgroup of EnterPod, as a path in its hierarchy.
  std::string PathInPod(const std::string& uid, const std::string& container) const {
    return fmt::format("/{}/kubepods/besteffort/pod{}/{}", own_.substr(own_.rfind('/') + 1), uid, container);
  }

 private:
  void Make(const std::string& directory) {
    std::error_code error;
    if (std::filesystem::create_directory(directory, error)) made_.push_back(directory);
  }

  std::string own_;  // empty: it could not be made
  std::vector<std::string> made_;
};

}  // namespace sluice::test
