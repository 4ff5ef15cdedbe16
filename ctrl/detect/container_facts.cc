#include "ctrl/detect/container_facts.h"

#include <algorithm>
#include <set>

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

ContainerFacts::Facts FactsOf(const ContainerFacts::Listed& listed) {
  const auto container = WithId(listed.id);
  container->name = listed.name;
  container->image_repository = listed.repository;
  container->pod_name = listed.pod.name;
  container->pod_namespace = listed.pod.ns;
  container->pod_uid = listed.pod_uid;
  return container;
}

bool IsSame(const Container& one, const Container& other) {
  return one.name == other.name && one.image_repository == other.image_repository && one.pod_name == other.pod_name &&
         one.pod_namespace == other.pod_namespace && one.pod_uid == other.pod_uid;
}

}  // namespace

void ContainerFacts::Set(const std::vector<Listed>& containers) {
  const std::lock_guard lock(mutex_);
  std::set<std::string> listed;
  for (const Listed& one : containers) {
    if (one.id.empty() || !listed.insert(one.id).second) continue;
    Facts& known = known_[one.id];
    Facts now = FactsOf(one);
    if (known != nullptr && IsSame(*known, *now)) continue;
    known = std::move(now);
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
