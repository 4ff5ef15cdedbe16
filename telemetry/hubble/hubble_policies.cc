#include "telemetry/hubble/hubble_policies.h"

#include <algorithm>

namespace sluice::telemetry {
namespace {

constexpr std::uint32_t kMatchNone = 0;
constexpr std::uint32_t kMatchPeerAndPort = 2;

bool Denies(v1::PolicyRef::Effect effect) {
  return effect == v1::PolicyRef::DENY || effect == v1::PolicyRef::DEFAULT_DENY;
}

// With AUDIT: what it would do.
v1::PolicyRef::Effect MeantEffect(const v1::PolicyRef& policy) {
  return policy.effect() == v1::PolicyRef::AUDIT ? policy.would() : policy.effect();
}

flow::Policy ToHubblePolicy(const v1::PolicyRef& policy) {
  flow::Policy out;
  out.set_kind(policy.kind());
  out.set_namespace_(policy.namespace_());
  out.set_name(policy.name());
  // The names of these labels are Cilium's.
  out.add_labels("k8s:io.cilium.k8s.policy.derived-from=" + policy.kind());
  out.add_labels("k8s:io.cilium.k8s.policy.name=" + policy.name());
  if (!policy.namespace_().empty()) out.add_labels("k8s:io.cilium.k8s.policy.namespace=" + policy.namespace_());
  if (!policy.rule().empty()) out.add_labels("sluice:rule=" + policy.rule());
  return out;
}

}  // namespace

void AddHubblePolicies(const v1::Flow& flow, flow::Flow* out) {
  for (const v1::PolicyRef& policy : flow.policies()) {
    const bool denies = Denies(MeantEffect(policy));
    if (policy.direction() == v1::Flow::EGRESS) {
      *(denies ? out->add_egress_denied_by() : out->add_egress_allowed_by()) = ToHubblePolicy(policy);
    } else if (policy.direction() == v1::Flow::INGRESS) {
      *(denies ? out->add_ingress_denied_by() : out->add_ingress_allowed_by()) = ToHubblePolicy(policy);
    }
  }
}

flow::Verdict VerdictOfPolicies(const v1::Flow& flow, v1::Flow::Direction direction) {
  flow::Verdict verdict = flow::VERDICT_UNKNOWN;
  for (const v1::PolicyRef& policy : flow.policies()) {
    if (policy.direction() != direction) continue;
    if (Denies(policy.effect())) return flow::DROPPED;
    if (Denies(MeantEffect(policy))) {
      verdict = flow::AUDIT;
    } else if (verdict == flow::VERDICT_UNKNOWN) {
      verdict = flow::FORWARDED;
    }
  }
  return verdict;
}

std::uint32_t MatchTypeOfPolicies(const v1::Flow& flow, v1::Flow::Direction direction) {
  const bool by_rule = std::any_of(flow.policies().begin(), flow.policies().end(), [&](const v1::PolicyRef& policy) {
    return policy.direction() == direction && !policy.rule().empty();
  });
  return by_rule ? kMatchPeerAndPort : kMatchNone;
}

}  // namespace sluice::telemetry
