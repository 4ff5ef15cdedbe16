#include "policy/resource/resource_map.h"

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
      Edit(static_cast<Kind>(kind)).Merge(*other.parts_[kind]);
    }
  }
}

bool ResourceMap::HasSameDocuments(const ResourceMap& other) const {
  for (std::size_t kind = 0; kind < kKinds; kind++) {
    if (parts_[kind] == other.parts_[kind]) continue;
    const bool differs =
        parts_[kind]->AnyUnshared(*other.parts_[kind], [](const ResourceId&, const Resource* one, const Resource* two) {
          return one == nullptr || two == nullptr || one->yaml != two->yaml || WhyClosed(*one) != WhyClosed(*two);
        });
    if (differs) return false;
  }
  return true;
}

ResourceMap::Part& ResourceMap::Edit(Kind kind) {
  std::shared_ptr<Part>& part = parts_[Index(kind)];
  if (part.use_count() > 1) part = std::make_shared<Part>(*part);
  return *part;
}

}  // namespace sluice::policy
