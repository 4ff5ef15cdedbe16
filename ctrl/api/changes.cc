#include "ctrl/api/changes.h"

#include <fmt/format.h>

#include "api/kinds.h"
#include "ctrl/api/convert.h"

namespace sluice::api {
namespace {

using Change = v1::ResourceChange;
using policy::ResourceId;
using reconcile::View;

constexpr std::size_t kMaxShadowedTexts = 10;

Change MakeChange(const ResourceId& id, Change::Change what, v1::Origin in_force, bool shadows) {
  Change change;
  *change.mutable_resource() = ToRef(id);
  change.set_change(what);
  if (in_force != v1::ORIGIN_UNSPECIFIED) change.set_in_force(in_force);
  change.set_shadows(shadows);
  return change;
}

// As `delete` takes it: "networkpolicies.sluice.dev db -n shop".
std::string DeleteArguments(const ResourceId& id) {
  return fmt::format("{} {}{}{}", KindArgument(id.kind), id.name.name, id.name.ns.empty() ? "" : " -n ", id.name.ns);
}

}  // namespace

v1::Origin OriginOf(const ResourceId& id, const View& view) {
  if (view.of_api.contains(id)) return v1::API;
  return view.of_directory.contains(id) ? v1::DIRECTORY : v1::ORIGIN_UNSPECIFIED;
}

bool IsShadowing(const ResourceId& id, const View& view) {
  return view.of_api.contains(id) && view.of_directory.contains(id);
}

std::vector<Change> ToChanges(const View& before, const std::vector<policy::Resource>& resources) {
  std::vector<Change> changes;
  for (const policy::Resource& resource : resources) {
    const auto old = before.of_api.find(resource.id);
    const bool in_directory = before.of_directory.contains(resource.id);
    const bool is_new = old == before.of_api.end();
    const Change::Change what = is_new && !in_directory                        ? Change::CREATED
                                : !is_new && old->second.yaml == resource.yaml ? Change::UNCHANGED
                                                                               : Change::REPLACED;
    changes.push_back(MakeChange(resource.id, what, v1::API, in_directory));
  }
  return changes;
}

std::vector<Change> ToRemovals(const View& before, const std::vector<ResourceId>& ids, reconcile::Missing missing) {
  std::vector<Change> changes;
  for (const ResourceId& id : ids) {
    const bool is_known =
        before.of_api.contains(id) || (id.kind == policy::Kind::kWorkload && before.unbound.contains(id.name));
    if (!is_known && missing == reconcile::Missing::kIgnored) continue;
    const bool comes_back = before.of_directory.contains(id);
    changes.push_back(MakeChange(id, Change::REMOVED, comes_back ? v1::DIRECTORY : v1::ORIGIN_UNSPECIFIED, false));
  }
  return changes;
}

std::vector<Change> DirectoryChanges(const View& before, const View& after) {
  std::vector<Change> changes;
  for (const auto& [id, resource] : after.of_directory) {
    const auto old = before.of_directory.find(id);
    const bool is_new = old == before.of_directory.end();
    if (!is_new && old->second.yaml == resource.yaml) continue;
    changes.push_back(
        MakeChange(id, is_new ? Change::CREATED : Change::REPLACED, OriginOf(id, after), IsShadowing(id, after)));
  }
  for (const auto& [id, resource] : before.of_directory) {
    if (after.of_directory.contains(id)) continue;
    changes.push_back(MakeChange(id, Change::REMOVED, OriginOf(id, after), false));
  }
  return changes;
}

std::vector<std::string> ShadowedTexts(const View& view, const std::string& directory) {
  std::vector<std::string> texts;
  std::size_t more = 0;
  for (const auto& [id, resource] : view.of_directory) {
    if (!view.of_api.contains(id)) continue;
    if (texts.size() + 1 >= kMaxShadowedTexts) {
      more++;
      continue;
    }
    texts.push_back(fmt::format("{}: the applied document hides the one in {}; `sluice delete {}` restores that",
                                id.ToString(), directory, DeleteArguments(id)));
  }
  if (more != 0) texts.push_back(fmt::format("and {} more; `sluice get KIND` shows the origin of each", more));
  return texts;
}

}  // namespace sluice::api
