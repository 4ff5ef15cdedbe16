#include "ctrl/api/resource_ids.h"

#include <algorithm>

#include "api/kinds.h"
#include "policy/kinds/kinds.h"
#include "policy/resource/gather.h"

namespace sluice::api {
namespace {

using policy::ResourceId;

bool IsThere(const ResourceId& id, const reconcile::View& view) {
  return view.resources.contains(id) || (id.kind == policy::Kind::kWorkload && view.unbound.contains(id.name));
}

StatusOr<KindSelection> ParseResourceKind(const std::string& kind) {
  SL_ASSIGN_OR_RETURN(KindSelection selection, ParseKind(kind));
  if (selection.listing != Listing::kResources) return InvalidError("{}: cannot be deleted", kind);
  return selection;
}

StatusOr<ResourceId> FindTarget(const v1::DeleteRequest::Target& target, const reconcile::View& view) {
  SL_ASSIGN_OR_RETURN(const KindSelection selection, ParseResourceKind(target.kind()));
  std::vector<ResourceId> found;
  std::string wanted;
  for (const policy::Kind kind : selection.kinds) {
    const bool in_namespace = policy::IsNamespaced(kind);
    const std::string ns = !in_namespace ? "" : target.namespace_().empty() ? "default" : target.namespace_();
    const ResourceId id{.kind = kind, .name = {.ns = ns, .name = target.name()}};
    wanted = id.ToString();
    if (IsThere(id, view)) found.push_back(id);
  }
  if (found.empty()) return MakeError(absl::StatusCode::kNotFound, "{} does not exist", wanted);
  if (found.size() == 1) return found.front();
  return InvalidError("{} is two resources: use networkpolicies.networking.k8s.io or networkpolicies.sluice.dev",
                      wanted);
}

// All of the target's kind and namespace that the API can remove.
StatusOr<std::vector<ResourceId>> FindAll(const v1::DeleteRequest::Target& target, const reconcile::View& view) {
  SL_ASSIGN_OR_RETURN(const KindSelection selection, ParseResourceKind(target.kind()));
  std::vector<ResourceId> found;
  const auto add = [&](const ResourceId& id) {
    if (target.namespace_().empty() || id.name.ns.empty() || id.name.ns == target.namespace_()) found.push_back(id);
  };
  for (const policy::Kind kind : selection.kinds) {
    for (const auto& [id, resource] : view.desired.of(reconcile::Source::kApi).of(kind)) add(id);
    if (kind != policy::Kind::kWorkload) continue;
    for (const auto& [name, problem] : view.unbound) {
      if (const ResourceId id{.kind = kind, .name = name}; !view.resources.contains(id)) add(id);
    }
  }
  return found;
}

Status AddTarget(const v1::DeleteRequest::Target& target, const v1::DeleteRequest& request, const reconcile::View& view,
                 Targets& targets) {
  if (target.all()) {
    SL_ASSIGN_OR_RETURN(const std::vector<ResourceId> all, FindAll(target, view));
    if (all.empty()) {
      targets.notices.push_back(fmt::format("no {} were applied{}", target.kind(),
                                            target.namespace_().empty() ? "" : " in namespace " + target.namespace_()));
    }
    targets.ids.insert(targets.ids.end(), all.begin(), all.end());
    return OkStatus();
  }
  const StatusOr<ResourceId> id = FindTarget(target, view);
  if (request.ignore_not_found() && absl::IsNotFound(id.status())) {
    targets.notices.push_back(Message(id.status()));
    return OkStatus();
  }
  if (!id.ok()) return id.status();
  targets.ids.push_back(*id);
  return OkStatus();
}

}  // namespace

StatusOr<ReadDocuments> ParseDocuments(const Documents& documents, const v1::ReadOptions& options,
                                       policy::tracing::Reading reading) {
  std::vector<policy::SourceText> texts;
  for (const v1::Document& document : documents) texts.push_back({document.origin(), document.yaml()});
  policy::GatheredTexts gathered = policy::Gather(texts, {.default_namespace = options.default_namespace(),
                                                          .skip_unknown = options.skip_unknown(),
                                                          .more_kinds = policy::MoreKinds(reading),
                                                          .lenient = options.lenient()});
  SL_RETURN_IF_ERROR(gathered.FirstError());
  if (gathered.resources.empty()) return InvalidError("the documents have no resource");
  return ReadDocuments{std::move(gathered.resources), std::move(gathered.origins), std::move(gathered.notices)};
}

Status InItsFile(const Status& refusal, const ReadDocuments& read) {
  for (std::size_t i = 0; i < read.resources.size(); ++i) {
    const policy::Resource& resource = read.resources[i];
    if ((resource.tracing || resource.lsm) && Message(refusal).starts_with(resource.id.ToString() + ": "))
      return Annotate(refusal, read.origins[i]);
  }
  return refusal;
}

StatusOr<Targets> ParseTargets(const v1::DeleteRequest& request, const reconcile::View& view) {
  Targets targets;
  std::vector<ResourceId>& ids = targets.ids;
  if (request.documents_size() == 0 && request.targets_size() == 0) return InvalidError("nothing to delete was named");
  if (request.documents_size() != 0) {
    SL_ASSIGN_OR_RETURN(ReadDocuments read,
                        ParseDocuments(request.documents(), request.read(), policy::tracing::Reading::kParsed));
    targets.notices = std::move(read.notices);
    for (const policy::Resource& resource : read.resources) {
      ids.push_back(resource.id);
      if (request.ignore_not_found() && !IsThere(resource.id, view)) {
        targets.notices.push_back(resource.id.ToString() + " does not exist");
      }
    }
  }
  for (const v1::DeleteRequest::Target& target : request.targets()) {
    SL_RETURN_IF_ERROR(AddTarget(target, request, view, targets));
  }
  std::sort(ids.begin(), ids.end());
  ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
  return targets;
}

}  // namespace sluice::api
