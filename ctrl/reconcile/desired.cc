#include "ctrl/reconcile/desired.h"

#include <utility>

namespace sluice::reconcile {

using policy::ResourceId;
using policy::ResourceMap;

std::optional<Source> Desired::SourceOf(const ResourceId& id) const {
  for (const Source source : kSources) {
    if (of(source).contains(id)) return source;
  }
  return std::nullopt;
}

// A kind that only one source has is shared with that source's map, so that an unchanged kind is known to be the same.
void Desired::Set(Source source, ResourceMap resources) {
  Edit(source) = std::move(resources);
  all_ = of(Source::kApi);
  all_.Merge(of(Source::kDirectory));
  all_.Merge(of(Source::kKubernetes));
}

void Desired::Put(const policy::Resource& resource) {
  Edit(Source::kApi).insert_or_assign(resource.id, resource);
  all_.insert_or_assign(resource.id, resource);
}

void Desired::Remove(const ResourceId& id) {
  Edit(Source::kApi).erase(id);
  all_.erase(id);
  if (const auto source = SourceOf(id)) all_.insert_or_assign(id, of(*source).at(id));
}

}  // namespace sluice::reconcile
