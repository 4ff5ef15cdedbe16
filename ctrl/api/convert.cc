#include "ctrl/api/convert.h"

#include <algorithm>

#include "ctrl/api/changes.h"
#include "policy/resource/parser.h"

namespace sluice::api {

v1::ResourceRef ToRef(const policy::ResourceId& id) {
  v1::ResourceRef ref;
  ref.set_api_version(policy::KindApiVersion(id.kind));
  ref.set_kind(policy::KindName(id.kind));
  ref.set_namespace_(id.name.ns);
  ref.set_name(id.name.name);
  return ref;
}

StatusOr<v1::Resource> ToResource(const policy::Resource& resource, const FactSources& sources,
                                  const v1::GetRequest& request) {
  v1::Resource out;
  *out.mutable_ref() = ToRef(resource.id);
  out.set_origin(OriginOf(resource.id, sources.view));
  out.set_shadows(IsShadowing(resource.id, sources.view));
  AddFacts(resource, sources, &out);
  if (request.with_yaml()) out.set_yaml(resource.yaml);
  if (request.with_json()) {
    SL_ASSIGN_OR_RETURN(const std::string document, policy::YamlToJson(resource.yaml));
    SL_ASSIGN_OR_RETURN(*out.mutable_json(), AddStatus(document, out));
  }
  return out;
}

v1::Ruleset ToRuleset(const policy::RulesetInfo& info) {
  v1::Ruleset out;
  out.set_id(info.id);
  out.set_direction(info.direction == policy::Direction::kEgress ? "EGRESS" : "INGRESS");
  for (const policy::ObjectName& name : info.policies) out.add_policies(name.ToString());
  out.set_workloads(info.workloads);
  return out;
}

std::vector<v1::Identity> ToIdentities(const policy::CompiledPolicy& compiled) {
  std::map<std::uint32_t, v1::Identity> identities;
  for (const auto& [id, info] : compiled.identities) {
    v1::Identity& out = identities[id];
    out.set_id(id);
    out.set_namespace_(info.ns);
    out.mutable_labels()->insert(info.labels.begin(), info.labels.end());
    out.set_prefix(info.prefix);
    out.set_description(info.ToString());
  }
  for (const auto& [address, value] : compiled.tables.addresses) {
    if (const auto found = identities.find(value.identity); found != identities.end()) {
      found->second.add_addresses(address.ToString());
    }
  }
  std::vector<v1::Identity> out;
  for (auto& [id, identity] : identities) out.push_back(std::move(identity));
  return out;
}

}  // namespace sluice::api
