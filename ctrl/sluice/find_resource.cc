#include "ctrl/sluice/find_resource.h"

#include "api/kinds.h"

namespace sluice::client {

StatusOr<std::vector<v1::Resource>> FindResources(Client& client, const std::string& kind,
                                                  const policy::ObjectName& name) {
  SL_ASSIGN_OR_RETURN(const api::KindSelection selection, api::ParseKind(kind));
  if (selection.listing != api::Listing::kResources) {
    return InvalidError(
        "{}: only workloads, pods, namespaces and the policies of networks, of tracing and of KubeArmor have documents",
        kind);
  }
  const bool in_namespace = policy::IsNamespaced(selection.kinds.front());
  v1::GetRequest request;
  request.set_kind(kind);
  request.set_name(name.name);
  if (in_namespace) request.set_namespace_(name.ns.empty() ? "default" : name.ns);
  request.set_with_yaml(true);
  std::vector<v1::Resource> found;
  SL_RETURN_IF_ERROR(client.Get(request, [&](const v1::Object& object) {
    found.push_back(object.resource());
    return OkStatus();
  }));
  if (!found.empty()) return found;
  return MakeError(absl::StatusCode::kNotFound, "{} {}{}{}: there is none; `sluice get {}` lists them", kind,
                   request.namespace_(), in_namespace ? "/" : "", name.name, kind);
}

std::string ResourceName(const v1::ResourceRef& ref) {
  return fmt::format("{} {}{}{}", ref.kind(), ref.namespace_(), ref.namespace_().empty() ? "" : "/", ref.name());
}

}  // namespace sluice::client
