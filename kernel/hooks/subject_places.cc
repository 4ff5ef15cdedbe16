#include "kernel/hooks/subject_places.h"

namespace sluice::hooks {

StatusOr<SubjectPlaces> SubjectPlaces::Create(const std::function<int(const char* name)>& map_fd) {
  SubjectPlaces made;
  SL_ASSIGN_OR_RETURN(made.cgroups_, decltype(cgroups_)::Bind(map_fd("hook_cgroups"), "hook_cgroups"));
  SL_ASSIGN_OR_RETURN(made.netns_, decltype(netns_)::Bind(map_fd("hook_netns"), "hook_netns"));
  SL_ASSIGN_OR_RETURN(made.shares_, decltype(shares_)::Bind(map_fd("hook_event_shares"), "hook_event_shares"));
  return made;
}

StatusOr<std::uint32_t> SubjectPlaces::NumberOf(const std::string& key) {
  if (const auto known = numbers_.find(key); known != numbers_.end()) return (*known).second;
  SL_ASSIGN_OR_RETURN(const Range place, places_.Take(1));
  // The one that had the number before may have used up its share of the ring.
  if (const Status status = shares_.Put(place.first, 0); !status.ok()) {
    places_.Release(place);
    return status;
  }
  numbers_.emplace(key, place.first);
  return place.first;
}

Status SubjectPlaces::Replace(const Entries& cgroups, const Entries& netns) {
  Status first = Replace(cgroups_, cgroups, &known_cgroups_);
  first.Update(Replace(netns_, netns, &known_netns_));
  return first;
}

// Entries that change are put over the old ones, so that a process always has one subject or the other.
template <typename Key>
Status SubjectPlaces::Replace(const bpf::Map<Key, std::uint32_t>& map, const Entries& wanted, Entries* known) {
  Status first;
  for (const auto& [key, number] : wanted) {
    const auto now = known->find(key);
    if (now != known->end() && (*now).second == number) continue;
    if (const Status put = map.Put(static_cast<Key>(key), number); put.ok()) {
      known->insert_or_assign(key, number);
    } else {
      first.Update(put);
    }
  }
  for (auto entry = known->begin(); entry != known->end();) {
    if (wanted.contains((*entry).first)) {
      ++entry;
      continue;
    }
    first.Update(map.Delete(static_cast<Key>((*entry).first)));
    entry = known->erase(entry);
  }
  return first;
}

void SubjectPlaces::Forget(const std::set<std::string>& keys, std::vector<std::uint32_t>* gone) {
  for (auto known = numbers_.begin(); known != numbers_.end();) {
    if (keys.contains((*known).first)) {
      ++known;
      continue;
    }
    gone->push_back((*known).second);
    known = numbers_.erase(known);
  }
}

void SubjectPlaces::Release(const std::vector<std::uint32_t>& gone) {
  for (const std::uint32_t number : gone) places_.Release({number, 1});
}

}  // namespace sluice::hooks
