#include "ctrl/kube/store.h"

#include <iterator>
#include <utility>

namespace sluice::kube {
namespace {

// Uids are unknown in some servers' deletions.
bool IsOther(const std::string& uid, const std::string& other) {
  return !uid.empty() && !other.empty() && uid != other;
}

}  // namespace

bool Store::Knows(const ObjectMeta& meta) const {
  const auto at = entries_.find(meta.key);
  return at != entries_.end() && at->second.uid == meta.uid && !meta.resource_version.empty() &&
         at->second.resource_version == meta.resource_version;
}

void Store::Erase(std::map<ObjectKey, Entry>::iterator at, std::vector<Change>& changes) {
  const Entry& entry = at->second;
  refused_ -= entry.refused ? 1 : 0;
  changes.push_back({.kind = Change::Kind::kDelete,
                     .meta = {.key = at->first, .uid = entry.uid, .resource_version = entry.resource_version}});
  entries_.erase(at);
}

void Store::Put(const ObjectMeta& meta, StatusOr<Converted> value, std::vector<Change>& changes) {
  if (const auto old = entries_.find(meta.key); old != entries_.end() && IsOther(old->second.uid, meta.uid)) {
    Erase(old, changes);
  }
  Entry& entry = entries_[meta.key];
  refused_ -= entry.refused ? 1 : 0;
  entry = {.uid = meta.uid, .resource_version = meta.resource_version, .refused = !value.ok()};
  refused_ += entry.refused ? 1 : 0;
  if (value.ok()) {
    changes.push_back({.kind = Change::Kind::kUpsert, .meta = meta, .value = std::move(*value)});
  } else {
    changes.push_back({.kind = Change::Kind::kRefused, .meta = meta, .refused = value.status()});
  }
}

void Store::Remove(const ObjectMeta& meta, std::vector<Change>& changes) {
  const auto at = entries_.find(meta.key);
  if (at == entries_.end() || IsOther(at->second.uid, meta.uid)) return;
  Erase(at, changes);
}

std::vector<Change> Store::Replace(List list) {
  std::vector<Change> changes;
  for (auto at = entries_.begin(); at != entries_.end();) {
    const auto next = std::next(at);
    if (!list.keys.contains(at->first)) Erase(at, changes);
    at = next;
  }
  for (const List::Changed& changed : list.changed) {
    const auto old = entries_.find(changed.meta.key);
    if (old != entries_.end() && IsOther(old->second.uid, changed.meta.uid)) Erase(old, changes);
  }
  for (List::Changed& changed : list.changed) Put(changed.meta, std::move(changed.value), changes);
  return changes;
}

}  // namespace sluice::kube
