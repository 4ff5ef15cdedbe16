#include "ctrl/reconcile/desired.h"

#include <utility>

namespace sluice::reconcile {

using policy::ResourceId;
using policy::ResourceMap;

Desired::Desired(ResourceMap of_directory, ResourceMap of_api)
    : directory(std::move(of_directory)), api(std::move(of_api)), all(api) {
  all.Merge(directory);
}

void Desired::Put(const policy::Resource& resource) {
  api.insert_or_assign(resource.id, resource);
  all.insert_or_assign(resource.id, resource);
}

void Desired::Remove(const ResourceId& id) {
  api.erase(id);
  all.erase(id);
  if (const auto found = directory.find(id); found != directory.end()) all.insert_or_assign(id, found->second);
}

}  // namespace sluice::reconcile
