#include "ctrl/api/resource_ids.h"

#include <algorithm>

#include "ctrl/api/kinds.h"
#include "policy/parser.h"

namespace sluice::api {
namespace {

using policy::ResourceId;

StatusOr<ResourceId> FindTarget(const v1::DeleteRequest::Target& target, const policy::ResourceMap& existing,
                                const std::map<policy::ObjectName, std::string>& unbound) {
  SL_ASSIGN_OR_RETURN(const KindSelection selection, ParseKind(target.kind()));
  if (selection.listing != Listing::kResources) return InvalidError("{}: cannot be deleted", target.kind());
  std::vector<ResourceId> found;
  std::string wanted;
  for (const policy::Kind kind : selection.kinds) {
    const bool in_namespace = kind != policy::Kind::kNamespace;
    const std::string ns = !in_namespace ? "" : target.namespace_().empty() ? "default" : target.namespace_();
    const ResourceId id{.kind = kind, .name = {.ns = ns, .name = target.name()}};
    wanted = id.ToString();
    if (existing.contains(id) || (kind == policy::Kind::kWorkload && unbound.contains(id.name))) found.push_back(id);
  }
  if (found.empty()) return MakeError(absl::StatusCode::kNotFound, "{} does not exist", wanted);
  if (found.size() == 1) return found.front();
  return InvalidError("{} is two resources: say networkpolicies.networking.k8s.io or networkpolicies.sluice.dev",
                      wanted);
}

}  // namespace

StatusOr<std::vector<policy::Resource>> ParseDocuments(const Documents& documents) {
  std::vector<policy::Resource> resources;
  std::map<ResourceId, std::string> origins;
  for (const v1::Document& document : documents) {
    SL_ASSIGN_OR_RETURN(auto parsed, policy::ParseResources(document.origin(), document.yaml()));
    for (policy::Resource& resource : parsed) {
      const auto [first, added] = origins.emplace(resource.id, document.origin());
      if (!added) {
        return InvalidError("{}: {}: defined twice: {} has it too", document.origin(), resource.id.ToString(),
                            first->second);
      }
      resources.push_back(std::move(resource));
    }
  }
  if (resources.empty()) return InvalidError("there is no resource in what was given");
  return resources;
}

StatusOr<std::vector<ResourceId>> ParseTargets(const v1::DeleteRequest& request, const policy::ResourceMap& existing,
                                               const std::map<policy::ObjectName, std::string>& unbound) {
  std::vector<ResourceId> ids;
  if (request.documents_size() != 0) {
    SL_ASSIGN_OR_RETURN(const auto resources, ParseDocuments(request.documents()));
    for (const policy::Resource& resource : resources) ids.push_back(resource.id);
  }
  for (const v1::DeleteRequest::Target& target : request.targets()) {
    SL_ASSIGN_OR_RETURN(ids.emplace_back(), FindTarget(target, existing, unbound));
  }
  std::sort(ids.begin(), ids.end());
  ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
  if (ids.empty()) return InvalidError("nothing to delete was named");
  return ids;
}

}  // namespace sluice::api
