// Tracee's policy files -> rules of policy/rules, so that one evaluator decides everything. Both shapes of the format:
// a Kubernetes object (tracee.aquasec.com/v1beta1 Policy), and the plain one (type: policy). Strict: what cannot be
// said with this agent's sensors is refused by its name, with file, line, field and value. docs/tracee.md says what is
// taken. Pure.
//   if (tracee::IsPolicyText(text)) rules = tracee::LoadPolicies("policy.yaml", text);
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "policy/resource/resource_field.h"
#include "policy/rules/rule.h"
#include "policy/tracee/detector.h"

namespace sluice::policy::tracee {

// Whether one of the documents says that it is a policy of Tracee's. False also for what is not YAML.
bool IsPolicyText(std::string_view text);

struct LoadedPolicies {
  std::vector<rules::Rule> rules;  // of the documents without a problem, in their order; "POLICY: EVENT"
  std::size_t policies = 0;
  std::vector<Problem> problems;
};

// All documents of a text, but for detectors and lists (detector.h). `produced`: events of detectors, which policies
// may name as they name those of the sensors.
LoadedPolicies LoadPolicies(const std::string& file, std::string_view text,
                            std::span<const ProducedEvent> produced = {});

}  // namespace sluice::policy::tracee
