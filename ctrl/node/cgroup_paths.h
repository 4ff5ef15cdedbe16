// Paths of cgroups of version 2 by their ids, for processes that moved into one after the sensors recorded them. Not
// thread-safe.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <utility>

namespace sluice::node {

class CgroupPaths {
 public:
  using Clock = std::chrono::steady_clock;
  // `root`: where the hierarchy is mounted; empty: nothing is found. `proc`: where the processes are.
  explicit CgroupPaths(std::string root, std::string proc = "/proc",
                       std::function<Clock::time_point()> now = Clock::now)
      : root_(std::move(root)), proc_(std::move(proc)), now_(std::move(now)) {}

  // The path of the cgroup with this id, which process `pid` was in a moment ago. It is found by the process, and once
  // that has ended, by a walk through the hierarchy, of which there are at most five a second. Nothing: the cgroup has
  // ended, too, or is above the cgroup namespace of this process; for a second it is not looked for again.
  std::optional<std::string> Find(std::uint32_t pid, std::uint64_t id);

 private:
  static constexpr std::size_t kMostKept = 16'384;  // of each

  std::optional<std::string> Look(std::uint32_t pid, std::uint64_t id) const;
  void Walk(const std::string& path, int depth);

  const std::string root_;
  const std::string proc_;
  const std::function<Clock::time_point()> now_;
  std::map<std::uint64_t, std::string> found_;  // an id is given once until a reboot
  std::map<std::pair<std::uint64_t, std::uint32_t>, Clock::time_point> missed_;
  std::optional<Clock::time_point> walked_;
};

}  // namespace sluice::node
