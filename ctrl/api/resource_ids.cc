#include "ctrl/api/resource_ids.h"

#include <algorithm>

#include "api/kinds.h"
#include "policy/resource/parser.h"

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

void AppendNotices(const std::string& origin, const policy::ParsedText& parsed, const v1::ReadOptions& options,
                   std::vector<std::string>& notices) {
  for (const policy::Problem& skipped : parsed.skipped) notices.push_back(policy::SkippedText(origin, skipped));
  if (parsed.without_namespace != 0 && options.default_namespace().empty()) {
    notices.push_back(policy::DefaultNamespaceText(origin, parsed.without_namespace));
  }
}

}  // namespace

StatusOr<ReadDocuments> ParseDocuments(const Documents& documents, const v1::ReadOptions& options) {
  policy::ParseOptions parse{.skip_unknown = options.skip_unknown()};
  if (!options.default_namespace().empty()) parse.default_namespace = options.default_namespace();
  ReadDocuments read;
  std::map<ResourceId, std::string> origins;
  for (const v1::Document& document : documents) {
    policy::ParsedText parsed = policy::ParseText(document.origin(), document.yaml(), parse);
    if (!parsed.problems.empty()) return policy::ToStatus(document.origin(), parsed.problems);
    AppendNotices(document.origin(), parsed, options, read.notices);
    for (policy::Resource& resource : parsed.resources) {
      const auto [first, added] = origins.emplace(resource.id, document.origin());
      if (!added) {
        return InvalidError("{}: {}: defined twice: {} has it too. Kubernetes would keep the last: remove one",
                            document.origin(), resource.id.ToString(), first->second);
      }
      read.resources.push_back(std::move(resource));
    }
  }
  if (read.resources.empty()) return InvalidError("there is no resource in what was given");
  return read;
}

StatusOr<Targets> ParseTargets(const v1::DeleteRequest& request, const policy::ResourceMap& existing,
                               const std::map<policy::ObjectName, std::string>& unbound) {
  Targets targets;
  std::vector<ResourceId>& ids = targets.ids;
  if (request.documents_size() != 0) {
    SL_ASSIGN_OR_RETURN(ReadDocuments read, ParseDocuments(request.documents(), request.read()));
    for (const policy::Resource& resource : read.resources) ids.push_back(resource.id);
    targets.notices = std::move(read.notices);
  }
  for (const v1::DeleteRequest::Target& target : request.targets()) {
    SL_ASSIGN_OR_RETURN(ids.emplace_back(), FindTarget(target, existing, unbound));
  }
  std::sort(ids.begin(), ids.end());
  ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
  if (ids.empty()) return InvalidError("nothing to delete was named");
  return targets;
}

}  // namespace sluice::api
