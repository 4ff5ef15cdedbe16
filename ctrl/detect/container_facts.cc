#include "ctrl/detect/container_facts.h"

#include <algorithm>
#include <set>
#include <tuple>

namespace sluice::detect {
namespace {

using policy::rules::Container;

constexpr std::size_t kShownId = 12;  // characters of an id that Falco shows

std::shared_ptr<Container> WithId(const std::string& id) {
  auto container = std::make_shared<Container>();
  container->id = id.substr(0, kShownId);
  container->full_id = id;
  return container;
}

auto TiedMount(const policy::rules::Mount& mount) {
  return std::tie(mount.source, mount.destination, mount.mode, mount.writable, mount.propagation);
}

// All but the mounts.
auto TiedContainer(const Container& one) {
  return std::tie(one.full_id, one.name, one.type, one.image, one.image_id, one.image_repository, one.image_tag,
                  one.image_digest, one.ip, one.privileged, one.start_ns, one.pod_name, one.pod_uid, one.pod_namespace);
}

bool IsSame(const Container& one, const Container& other) {
  if (TiedContainer(one) != TiedContainer(other) || one.mounts.has_value() != other.mounts.has_value()) return false;
  return !one.mounts || std::ranges::equal(*one.mounts, *other.mounts, {}, TiedMount, TiedMount);
}

}  // namespace

void ContainerFacts::Set(const std::vector<Container>& containers) {
  const std::lock_guard lock(mutex_);
  std::set<std::string> listed;
  for (const Container& one : containers) {
    if (one.full_id.empty() || !listed.insert(one.full_id).second) continue;
    const auto now = std::make_shared<Container>(one);
    now->id = one.full_id.substr(0, kShownId);
    Facts& known = known_[one.full_id];
    if (known != nullptr && IsSame(*known, *now)) continue;
    known = now;
    version_++;
  }
  std::erase_if(gone_, [&](const std::string& id) { return listed.contains(id); });
  for (const auto& [id, facts] : known_) {
    const bool is_new = !listed.contains(id) && std::find(gone_.begin(), gone_.end(), id) == gone_.end();
    if (is_new) gone_.push_back(id);
  }
  if (gone_.size() <= kMaxGone) return;
  const auto end = gone_.begin() + static_cast<std::ptrdiff_t>(gone_.size() - kMaxGone);
  for (auto id = gone_.begin(); id != end; ++id) known_.erase(*id);
  gone_.erase(gone_.begin(), end);
}

ContainerFacts::Found ContainerFacts::Find(const std::string& id) const {
  if (id.empty()) return {.container = {std::shared_ptr<void>(), &policy::rules::HostContainer()}, .final = true};
  const std::lock_guard lock(mutex_);
  const auto found = known_.find(id);
  if (found != known_.end()) return {.container = found->second, .final = true};
  return {.container = WithId(id), .final = false};
}

}  // namespace sluice::detect
