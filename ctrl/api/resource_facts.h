// What the agent knows about a resource beyond its document. Pure.
#pragma once

#include "api/sluice.pb.h"
#include "ctrl/hooks/hook_controller.h"
#include "ctrl/lsm/lsm_controller.h"
#include "ctrl/reconcile/controller.h"
#include "ctrl/respond/responder.h"

namespace sluice::api {

inline const lsm::LsmReports kNoLsmPolicies;
inline const respond::Reports kNoResponses;

// What a resource's facts are made from.
struct FactSources {
  const reconcile::View& view;
  const policy::Quarantine& quarantine;
  const hooks::PolicyReports& hook_policies;
  const lsm::LsmReports& lsm_policies = kNoLsmPolicies;
  const respond::Reports& responses = kNoResponses;
};

// Labels and the member of `facts` that fits the kind.
void AddFacts(const policy::Resource& resource, const FactSources& sources, v1::Resource* out);

v1::TracingPolicyFacts ToFacts(const hooks::PolicyReport& report);
v1::KubeArmorPolicyFacts ToFacts(const policy::lsm::Policy& policy, const lsm::LsmPolicyReport& report);
v1::ResponseFacts ToFacts(const policy::response::Response& response, const respond::Report& report);

// `document` (JSON) with the facts as its `status`, if it has no status of its own.
StatusOr<std::string> AddStatus(const std::string& document, const v1::Resource& facts);

}  // namespace sluice::api
