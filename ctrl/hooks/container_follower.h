// Tells of the containers of this node as soon as their cgroups exist. A runtime names a container before it makes its
// cgroup, and starts its first process some milliseconds after that.
//   ContainerFollower follower({.tell = [&](const auto& all) { return hooks.SetContainers(all); }});
//   follower.Set(containers);   // from any thread; returns at once
#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "base/status.h"
#include "ctrl/hooks/local_subjects.h"

namespace sluice::hooks {

class ContainerFollower {
 public:
  struct Options {
    // Takes all containers, on a thread of this class. After an error it is called again.
    std::function<Status(const std::vector<LocalContainer>&)> tell;
    std::string cgroup_root = CgroupRoot();
    InodeOf inode = InodeOfFile;
    // How often the cgroups that do not exist yet are looked for: soon after a container is named, and later.
    std::chrono::milliseconds poll_soon{5};
    std::chrono::milliseconds soon{30'000};
    std::chrono::milliseconds poll_later{1'000};
  };

  explicit ContainerFollower(Options options);
  ~ContainerFollower();
  ContainerFollower(const ContainerFollower&) = delete;
  ContainerFollower& operator=(const ContainerFollower&) = delete;

  // All containers; their cgroup_id is found here.
  void Set(std::vector<LocalContainer> containers);

 private:
  using Clock = std::chrono::steady_clock;
  void Run();
  // True: a cgroup that did not exist does.
  bool FindCgroups();
  void Tell();
  std::optional<Clock::time_point> NextLook(Clock::time_point now) const;

  const Options options_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::optional<std::vector<LocalContainer>> given_;  // by mutex_; nothing: taken already
  bool stopping_ = false;                             // by mutex_
  // Of the thread alone.
  std::vector<LocalContainer> containers_;
  std::map<std::string, Clock::time_point> named_at_;  // by container: those without a cgroup
  bool told_ = true;
  std::string problem_;  // logged already
  std::thread thread_;
};

}  // namespace sluice::hooks
