// The effect of a change on each resource, and the origin of the document in force. Pure.
#pragma once

#include <vector>

#include "api/sluice.pb.h"
#include "ctrl/reconcile/controller.h"

namespace sluice::api {

// The origin of the document of `id` that is in force; unspecified: there is none.
v1::Origin OriginOf(const policy::ResourceId& id, const reconcile::View& view);
// The document that counts hides another source's.
bool IsShadowing(const policy::ResourceId& id, const reconcile::View& view);

// The effect of applying `resources` through the API, one entry a resource.
std::vector<v1::ResourceChange> ToChanges(const reconcile::View& before,
                                          const std::vector<policy::Resource>& resources);
// The effect of deleting `ids`. Missing ones that are to be ignored have no entry.
std::vector<v1::ResourceChange> ToRemovals(const reconcile::View& before, const std::vector<policy::ResourceId>& ids,
                                           reconcile::Missing missing);
// The effect of reading the resources directory again.
std::vector<v1::ResourceChange> DirectoryChanges(const reconcile::View& before, const reconcile::View& after);

// A line for each document of the resources directory that the API's document hides, and how to restore it; at most 10
// lines.
std::vector<std::string> ShadowedTexts(const reconcile::View& view, const std::string& directory);

}  // namespace sluice::api
