// Between the agent's values and the API's messages. Pure; decides nothing.
#pragma once

#include "api/sluice.grpc.pb.h"
#include "ctrl/api/resource_facts.h"

namespace sluice::api {

v1::ResourceRef ToRef(const policy::ResourceId& id);

// One resource with its facts, and its document in the requested form.
StatusOr<v1::Resource> ToResource(const policy::Resource& resource, const FactSources& sources,
                                  const v1::GetRequest& request);
v1::Ruleset ToRuleset(const policy::RulesetInfo& info);
// All of them, with their addresses.
std::vector<v1::Identity> ToIdentities(const policy::CompiledPolicy& compiled);

}  // namespace sluice::api
