#include "ctrl/hooks/container_follower.h"

#include <algorithm>
#include <utility>

#include "base/log.h"

namespace sluice::hooks {

ContainerFollower::ContainerFollower(Options options)
    : options_(std::move(options)), thread_(&ContainerFollower::Run, this) {}

ContainerFollower::~ContainerFollower() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

void ContainerFollower::Set(std::vector<LocalContainer> containers) {
  {
    const std::lock_guard lock(mutex_);
    given_ = std::move(containers);
  }
  changed_.notify_all();
}

void ContainerFollower::Run() {
  while (true) {
    {
      std::unique_lock lock(mutex_);
      const auto has_news = [this] { return stopping_ || given_.has_value(); };
      if (const auto next = NextLook(Clock::now())) {
        changed_.wait_until(lock, *next, has_news);
      } else {
        changed_.wait(lock, has_news);
      }
      if (stopping_) return;
      if (given_) {
        containers_ = *std::exchange(given_, std::nullopt);
        told_ = false;
      }
    }
    if (FindCgroups()) told_ = false;
    if (!told_) Tell();
  }
}

// A container's id is never another one's, and its cgroup lives as long as it: what was found stays right.
bool ContainerFollower::FindCgroups() {
  bool found = false;
  const auto before = std::exchange(named_at_, {});
  for (LocalContainer& container : containers_) {
    if (container.cgroup.empty() || container.cgroup_id != 0) continue;
    if (!options_.cgroup_root.empty()) container.cgroup_id = options_.inode(options_.cgroup_root + container.cgroup);
    found = found || container.cgroup_id != 0;
    if (container.cgroup_id != 0) continue;
    const auto known = before.find(container.id);
    named_at_.emplace(container.id, known == before.end() ? Clock::now() : known->second);
  }
  return found;
}

void ContainerFollower::Tell() {
  const Status told = options_.tell(containers_);
  told_ = told.ok();
  const std::string problem = told.ok() ? "" : Message(told);
  if (!told.ok() && problem != problem_) LogError("containers of policies: {}", problem);
  problem_ = problem;
}

std::optional<ContainerFollower::Clock::time_point> ContainerFollower::NextLook(Clock::time_point now) const {
  const bool has_new = std::any_of(named_at_.begin(), named_at_.end(),
                                   [&](const auto& one) { return now - one.second < options_.soon; });
  if (has_new) return now + options_.poll_soon;
  if (!named_at_.empty() || !told_) return now + options_.poll_later;
  return std::nullopt;
}

}  // namespace sluice::hooks
