#include "policy/network/decision.h"

#include <algorithm>
#include <functional>
#include <optional>
#include <tuple>

#include <fmt/format.h>

#include "policy/network/stable_id.h"

namespace sluice::policy {
namespace {

// Results of one policy's matching rules.
struct Said {
  std::vector<Contribution> allows, denies, notes;
};

Contribution Part(const NetworkPolicy& policy, std::string rule, Effect effect, Effect would = Effect::kAllow) {
  return {policy.api, policy.name, std::move(rule), effect, would};
}

Said Listen(Direction direction, const PolicyMatch& match) {
  const NetworkPolicy& policy = *match.policy;
  Said said;
  for (const std::size_t i : match.rules) {
    std::string name = fmt::format("{}[{}]", direction == Direction::kIngress ? "ingress" : "egress", i);
    switch (policy.rules(direction)[i].action) {
      case RuleAction::kAllow:
        said.allows.push_back(Part(policy, std::move(name), Effect::kAllow));
        break;
      case RuleAction::kDeny:
        said.denies.push_back(Part(policy, std::move(name), Effect::kDeny));
        break;
      case RuleAction::kAudit:  // 33
        said.notes.push_back(Part(policy, std::move(name), Effect::kAudit, Effect::kDeny));
        break;
    }
  }
  return said;
}

// A rule of a KubeArmor policy that matches.
struct PeerRuleMatch {
  const NetworkPolicy* policy = nullptr;
  const Rule* rule = nullptr;
};

// The order in which they decide. Rules that differ only in name say the same.
auto OrderOf(const PeerRuleMatch& one) {
  return std::make_tuple(*one.rule->precedence, one.policy->api, std::cref(one.policy->name),
                         std::cref(one.rule->field));
}

void TakeFirst(const PeerRuleMatch& one, std::optional<PeerRuleMatch>& first) {
  if (!first || OrderOf(one) < OrderOf(*first)) first = one;
}

// All KubeArmor policies are read as one (policy/lsm/evaluate.h is their specification): the first rule with Allow or
// Block decides; where none does, the default posture of an allow list; Audit rules only watch.
struct PeerVerdict {
  std::optional<Contribution> denies;
  std::optional<Contribution> note;
};

PeerVerdict PeerVerdictOf(Direction direction, const std::vector<PolicyMatch>& matches) {
  std::optional<PeerRuleMatch> decides, audits, unlisted;
  for (const PolicyMatch& match : matches) {
    if (!match.policy->IsKubeArmor()) continue;
    for (const std::size_t i : match.rules) {
      const Rule& rule = match.policy->rules(direction)[i];
      const PeerRuleMatch one{match.policy, &rule};
      TakeFirst(one, rule.precedence->is_default ? unlisted : rule.action == RuleAction::kAudit ? audits : decides);
    }
  }
  PeerVerdict verdict;
  const auto part = [](const PeerRuleMatch& one, Effect effect, Effect would) {
    const char* const why = one.rule->precedence->is_default ? " (default posture)" : "";
    return Part(*one.policy, one.rule->field + why, effect, would);
  };
  if (decides && decides->rule->action == RuleAction::kDeny) {
    verdict.denies = part(*decides, Effect::kDeny, Effect::kAllow);
  } else if (!decides && unlisted && unlisted->rule->action == RuleAction::kDeny) {
    verdict.denies = part(*unlisted, Effect::kDeny, Effect::kAllow);
  } else if (audits) {
    verdict.note = part(*audits, Effect::kAudit, Effect::kDeny);
  } else if (!decides && unlisted) {
    verdict.note = part(*unlisted, Effect::kAudit, Effect::kDeny);
  }
  return verdict;
}

// Turns the parts of a policy in audit into notes of what they would have done.
std::vector<Contribution> AsNotes(std::vector<Contribution> parts) {
  for (Contribution& part : parts) {
    part.would = part.effect;
    part.effect = Effect::kAudit;
  }
  return parts;
}

// Sorts by policy, then rule, so that the order of the policies does not matter.
void AppendSorted(std::vector<Contribution>& to, std::vector<Contribution> from) {
  std::sort(from.begin(), from.end());
  to.insert(to.end(), std::make_move_iterator(from.begin()), std::make_move_iterator(from.end()));
}

void Append(std::vector<Contribution>& to, std::vector<Contribution> from) {
  to.insert(to.end(), std::make_move_iterator(from.begin()), std::make_move_iterator(from.end()));
}

}  // namespace

Decision Combine(Direction direction, const std::vector<PolicyMatch>& matches) {
  std::vector<Contribution> allows, denies, isolating, notes;
  PeerVerdict peers = PeerVerdictOf(direction, matches);
  if (peers.denies) denies.push_back(*std::move(peers.denies));
  if (peers.note) notes.push_back(*std::move(peers.note));
  for (const PolicyMatch& match : matches) {
    if (match.policy->mode != PolicyMode::kEnforce || match.policy->IsKubeArmor()) continue;
    Said said = Listen(direction, match);
    if (match.policy->default_deny) {  // 1, 31, 55
      isolating.push_back(Part(*match.policy, "", Effect::kDefaultDeny));
    }
    Append(allows, std::move(said.allows));
    Append(denies, std::move(said.denies));
    Append(notes, std::move(said.notes));
  }
  for (const PolicyMatch& match : matches) {  // 34, 57: each audit policy on its own
    if (match.policy->mode != PolicyMode::kAudit) continue;
    Said said = Listen(direction, match);
    Append(notes, std::move(said.notes));
    if (!said.denies.empty()) {
      Append(notes, AsNotes(std::move(said.denies)));
    } else if (!said.allows.empty()) {
      Append(notes, AsNotes(std::move(said.allows)));
    } else if (allows.empty() && match.policy->default_deny) {
      notes.push_back(Part(*match.policy, "", Effect::kAudit, Effect::kDefaultDeny));
    }
  }

  Decision decision;
  decision.allowed = denies.empty() && (isolating.empty() || !allows.empty());  // 1, 3, 32
  if (!denies.empty()) {
    AppendSorted(decision.contributions, std::move(denies));
  } else if (!decision.allowed) {
    AppendSorted(decision.contributions, std::move(isolating));
  } else {
    AppendSorted(decision.contributions, std::move(allows));
  }
  decision.audit_denied = decision.allowed && std::any_of(notes.begin(), notes.end(), [](const Contribution& note) {
                            return note.would != Effect::kAllow;
                          });
  AppendSorted(decision.contributions, std::move(notes));
  return decision;
}

std::string DecisionKey(const Decision& decision) {
  CanonicalKey key;
  key.Add(decision.allowed).Add(decision.audit_denied);
  for (const Contribution& part : decision.contributions) {
    key.Add(static_cast<std::uint64_t>(part.api)).Add(part.policy.ns).Add(part.policy.name).Add(part.rule);
    key.Add(static_cast<std::uint64_t>(part.effect)).Add(static_cast<std::uint64_t>(part.would));
  }
  return key.bytes();
}

}  // namespace sluice::policy
