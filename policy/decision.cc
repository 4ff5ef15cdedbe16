#include "policy/decision.h"

#include <algorithm>

#include <fmt/format.h>

#include "policy/stable_id.h"

namespace sluice::policy {
namespace {

Contribution Note(const NetworkPolicy& policy, std::string rule, Effect effect, Effect would = Effect::kAllow) {
  return {policy.api, policy.name, std::move(rule), effect, would};
}

std::string RuleName(Direction direction, std::size_t index) {
  return fmt::format("{}[{}]", direction == Direction::kIngress ? "ingress" : "egress", index);
}

void Append(std::vector<Contribution>& to, std::vector<Contribution> from) {
  std::sort(from.begin(), from.end());
  to.insert(to.end(), std::make_move_iterator(from.begin()), std::make_move_iterator(from.end()));
}

}  // namespace

const char* EffectName(Effect effect) {
  switch (effect) {
    case Effect::kAllow: return "ALLOW";
    case Effect::kDeny: return "DENY";
    case Effect::kDefaultDeny: return "DEFAULT_DENY";
    case Effect::kAudit: return "AUDIT";
  }
  return "UNKNOWN";
}

Decision Combine(Direction direction, const std::vector<PolicyMatch>& matches) {
  std::vector<Contribution> allows, denies, isolating, notes;
  for (const PolicyMatch& match : matches) {
    const NetworkPolicy& policy = *match.policy;
    if (policy.mode != PolicyMode::kEnforce) continue;
    isolating.push_back(Note(policy, "", Effect::kDefaultDeny));  // 1
    for (const std::size_t i : match.rules) {
      const std::string name = RuleName(direction, i);
      switch (policy.rules(direction)[i].action) {
        case RuleAction::kAllow: allows.push_back(Note(policy, name, Effect::kAllow)); break;
        case RuleAction::kDeny: denies.push_back(Note(policy, name, Effect::kDeny)); break;
        case RuleAction::kAudit: notes.push_back(Note(policy, name, Effect::kAudit, Effect::kDeny)); break;  // 31
      }
    }
  }
  for (const PolicyMatch& match : matches) {  // 32
    const NetworkPolicy& policy = *match.policy;
    if (policy.mode != PolicyMode::kAudit) continue;
    std::vector<Contribution> would_allow, would_deny;
    for (const std::size_t i : match.rules) {
      const bool allow = policy.rules(direction)[i].action == RuleAction::kAllow;
      auto& list = allow ? would_allow : would_deny;
      list.push_back(Note(policy, RuleName(direction, i), Effect::kAudit, allow ? Effect::kAllow : Effect::kDeny));
    }
    const bool allowed_by_some_rule = !would_allow.empty() || !allows.empty();
    if (!would_deny.empty()) {
      Append(notes, std::move(would_deny));
    } else if (!would_allow.empty()) {
      Append(notes, std::move(would_allow));
    }
    if (!allowed_by_some_rule) {}
  }
  return {};
}

}  // namespace sluice::policy
