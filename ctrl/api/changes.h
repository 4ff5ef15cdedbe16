// What a change of the resources does to each of them, and whose document of it counts. Pure.
#pragma once

#include <vector>

#include "api/sluice.pb.h"
#include "ctrl/reconcile/controller.h"

namespace sluice::api {

// Whose document of `id` counts in this view; unspecified: there is none.
v1::Origin OriginOf(const policy::ResourceId& id, const reconcile::View& view);
// The API's document hides one of the resources directory.
bool IsShadowing(const policy::ResourceId& id, const reconcile::View& view);

// What applying `resources` by the API changes, one entry a resource.
std::vector<v1::ResourceChange> ToChanges(const reconcile::View& before,
                                          const std::vector<policy::Resource>& resources);
// Likewise, deleting `ids`; those that may be missing and are have no entry.
std::vector<v1::ResourceChange> ToRemovals(const reconcile::View& before, const std::vector<policy::ResourceId>& ids,
                                           reconcile::Missing missing);
// What another reading of the resources directory has changed there.
std::vector<v1::ResourceChange> DirectoryChanges(const reconcile::View& before, const reconcile::View& after);

// A line for each document of the resources directory that does not count, and how to bring it back; at most 10 lines.
std::vector<std::string> ShadowedTexts(const reconcile::View& view, const std::string& directory);

}  // namespace sluice::api
