#include "ctrl/api/changes.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "api/kinds.h"
#include "ctrl/api/convert.h"

namespace sluice::api {
namespace {

using Change = v1::ResourceChange;
using policy::ResourceId;
using reconcile::Source;
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

v1::Origin ToOrigin(std::optional<Source> source) {
  if (!source) return v1::ORIGIN_UNSPECIFIED;
  switch (*source) {
    case Source::kApi:
      return v1::API;
    case Source::kDirectory:
      return v1::DIRECTORY;
    case Source::kKubernetes:
      return v1::KUBERNETES;
  }
  return v1::ORIGIN_UNSPECIFIED;
}

// A document of the API hides another source's.
bool HasBelowApi(const View& view, const ResourceId& id) {
  return view.desired.of(Source::kDirectory).contains(id) || view.desired.of(Source::kKubernetes).contains(id);
}

// As `delete` takes it: "networkpolicies.sluice.dev db -n shop".
std::string DeleteArguments(const ResourceId& id) {
  return fmt::format("{} {}{}{}", KindArgument(id.kind), id.name.name, id.name.ns.empty() ? "" : " -n ", id.name.ns);
}

}  // namespace

v1::Origin OriginOf(const ResourceId& id, const View& view) { return ToOrigin(view.desired.SourceOf(id)); }

bool IsShadowing(const ResourceId& id, const View& view) {
  const auto has = [&](Source source) { return view.desired.of(source).contains(id); };
  return std::count_if(reconcile::kSources.begin(), reconcile::kSources.end(), has) > 1;
}

std::vector<Change> ToChanges(const View& before, const std::vector<policy::Resource>& resources) {
  const policy::ResourceMap& of_api = before.desired.of(Source::kApi);
  std::vector<Change> changes;
  for (const policy::Resource& resource : resources) {
    const auto old = of_api.find(resource.id);
    const bool is_new = old == of_api.end();
    const bool shadows = HasBelowApi(before, resource.id);
    const Change::Change what = is_new && !shadows                             ? Change::CREATED
                                : !is_new && old->second.yaml == resource.yaml ? Change::UNCHANGED
                                                                               : Change::REPLACED;
    changes.push_back(MakeChange(resource.id, what, v1::API, shadows));
  }
  return changes;
}

std::vector<Change> ToRemovals(const View& before, const std::vector<ResourceId>& ids, reconcile::Missing missing) {
  std::vector<Change> changes;
  for (const ResourceId& id : ids) {
    const bool is_known = before.desired.of(Source::kApi).contains(id) ||
                          (id.kind == policy::Kind::kWorkload && before.unbound.contains(id.name));
    if (!is_known && missing == reconcile::Missing::kIgnored) continue;
    reconcile::Desired after = before.desired;
    after.Remove(id);
    changes.push_back(MakeChange(id, Change::REMOVED, ToOrigin(after.SourceOf(id)), false));
  }
  return changes;
}

std::vector<Change> DirectoryChanges(const View& before, const View& after) {
  std::vector<Change> changes;
  const policy::ResourceMap& old_documents = before.desired.of(Source::kDirectory);
  const policy::ResourceMap& documents = after.desired.of(Source::kDirectory);
  for (const auto& [id, resource] : documents) {
    const auto old = old_documents.find(id);
    const bool is_new = old == old_documents.end();
    if (!is_new && old->second.yaml == resource.yaml) continue;
    changes.push_back(
        MakeChange(id, is_new ? Change::CREATED : Change::REPLACED, OriginOf(id, after), IsShadowing(id, after)));
  }
  for (const auto& [id, resource] : old_documents) {
    if (documents.contains(id)) continue;
    changes.push_back(MakeChange(id, Change::REMOVED, OriginOf(id, after), false));
  }
  return changes;
}

std::vector<std::string> ShadowedTexts(const View& view, const std::string& directory) {
  std::vector<std::string> texts;
  std::size_t more = 0;
  for (const auto& [id, resource] : view.desired.of(Source::kDirectory)) {
    if (!view.desired.of(Source::kApi).contains(id)) continue;
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
