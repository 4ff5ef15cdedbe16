#include "telemetry/event/policy_refs.h"

namespace sluice::telemetry {
namespace {

v1::PolicyRef::Effect ToEffect(policy::Effect effect) {
  switch (effect) {
    case policy::Effect::kAllow:
      return v1::PolicyRef::ALLOW;
    case policy::Effect::kDeny:
      return v1::PolicyRef::DENY;
    case policy::Effect::kDefaultDeny:
      return v1::PolicyRef::DEFAULT_DENY;
    case policy::Effect::kAudit:
      return v1::PolicyRef::AUDIT;
  }
  return v1::PolicyRef::EFFECT_UNSPECIFIED;
}

}  // namespace

void AppendPolicyRefs(const policy::Decision& decision, policy::Direction direction, PolicyRefs* refs) {
  for (const policy::Contribution& part : decision.contributions) {
    const policy::Kind kind = policy::KindOf(part.api);
    v1::PolicyRef& ref = *refs->Add();
    ref.set_kind(policy::KindName(kind));
    ref.set_api_version(policy::KindApiVersion(kind));
    ref.set_namespace_(part.policy.ns);
    ref.set_name(part.policy.name);
    ref.set_rule(part.rule);
    ref.set_effect(ToEffect(part.effect));
    if (part.effect == policy::Effect::kAudit) ref.set_would(ToEffect(part.would));
    ref.set_direction(direction == policy::Direction::kEgress ? v1::Flow::EGRESS : v1::Flow::INGRESS);
  }
}

}  // namespace sluice::telemetry
