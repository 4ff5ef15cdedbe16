// The policies and rules that decided a flow in one direction, and their number in the kernel.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "policy/resource/model.h"

namespace sluice::policy {

enum class Effect { kAllow, kDeny, kDefaultDeny, kAudit };

// One policy's part in a decision.
struct Contribution {
  NetworkPolicy::Api api = NetworkPolicy::Api::kKubernetes;
  ObjectName policy;
  std::string rule;  // "ingress[0]"; empty for a default deny
  Effect effect = Effect::kAllow;
  // Effect kAudit only: what the policy (or the audit rule) would have done.
  Effect would = Effect::kAllow;
  auto operator<=>(const Contribution&) const = default;
};

// The answer for one direction at one workload.
struct Decision {
  bool allowed = true;
  bool audit_denied = false;  // allowed, but a policy in audit would have denied it
  // The rules that allow, or the rules that deny, or the isolating policies (default deny); then the audit notes.
  // Empty: the workload is not isolated in this direction.
  std::vector<Contribution> contributions;
  auto operator<=>(const Decision&) const = default;
};

// One policy that applies to the subject in a direction, with its rules for it that match a flow.
struct PolicyMatch {
  const NetworkPolicy* policy = nullptr;
  std::vector<std::size_t> rules;  // ascending
};

// The decision of all policies that apply to one subject in `direction`, both enforced and in audit.
Decision Combine(Direction direction, const std::vector<PolicyMatch>& matches);

// The bytes that a decision's number is a hash of: different for different decisions.
std::string DecisionKey(const Decision& decision);

}  // namespace sluice::policy
