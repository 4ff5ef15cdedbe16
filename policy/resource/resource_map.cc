#include "policy/resource/resource_map.h"

#include <algorithm>

namespace sluice::policy {
namespace {

// What no document says.
std::string_view WhyClosed(const Resource& resource) {
  return resource.workload == nullptr ? std::string_view() : resource.workload->closed_because;
}

}  // namespace

std::array<std::shared_ptr<ResourceMap::Part>, ResourceMap::kKinds> ResourceMap::NoParts() {
  static const auto kNone = std::make_shared<Part>();  // always shared, so never written to
  std::array<std::shared_ptr<Part>, kKinds> parts;
  parts.fill(kNone);
  return parts;
}

void ResourceMap::const_iterator::SkipEnds() {
  while (kind_ + 1 < kKinds && at_ == map_->parts_[kind_]->end()) at_ = map_->parts_[++kind_]->begin();
}

std::size_t ResourceMap::size() const {
  std::size_t size = 0;
  for (const auto& part : parts_) size += part->size();
  return size;
}

ResourceMap::const_iterator ResourceMap::find(const ResourceId& id) const {
  const auto found = of(id.kind).find(id);
  return found == of(id.kind).end() ? end() : const_iterator(this, Index(id.kind), found);
}

void ResourceMap::Clear(Kind kind) { parts_[Index(kind)] = NoParts()[0]; }

void ResourceMap::Merge(const ResourceMap& other) {
  for (std::size_t kind = 0; kind < kKinds; kind++) {
    if (other.parts_[kind]->empty()) continue;
    if (parts_[kind]->empty()) {
      parts_[kind] = other.parts_[kind];
    } else {
      Edit(static_cast<Kind>(kind)).insert(other.parts_[kind]->begin(), other.parts_[kind]->end());
    }
  }
}

bool ResourceMap::HasSameDocuments(const ResourceMap& other) const {
  for (std::size_t kind = 0; kind < kKinds; kind++) {
    const Part& a = *parts_[kind];
    const Part& b = *other.parts_[kind];
    if (&a == &b) continue;
    const bool same = std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const auto& one, const auto& two) {
      return one.first == two.first && one.second.yaml == two.second.yaml &&
             WhyClosed(one.second) == WhyClosed(two.second);
    });
    if (!same) return false;
  }
  return true;
}

ResourceMap::Part& ResourceMap::Edit(Kind kind) {
  std::shared_ptr<Part>& part = parts_[Index(kind)];
  if (part.use_count() > 1) part = std::make_shared<Part>(*part);
  return *part;
}

}  // namespace sluice::policy
