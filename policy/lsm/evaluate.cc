#include "policy/lsm/evaluate.h"

#include <algorithm>

#include "policy/lsm/match.h"
#include "policy/lsm/order.h"

namespace sluice::policy::lsm {
namespace {

bool OwnerDoesIt(const Subject& subject, const Operation& operation) {
  if (const auto* execution = std::get_if<Execution>(&operation)) return execution->owner == subject.uid;
  if (const auto* opening = std::get_if<Opening>(&operation)) return opening->owner == subject.uid;
  return true;
}

bool Reads(const Operation& operation) {
  const auto* const opening = std::get_if<Opening>(&operation);
  return opening == nullptr || !opening->writes;
}

bool ArgsAreAllowed(const std::vector<std::string>& allowed, const Operation& operation) {
  const auto* const execution = std::get_if<Execution>(&operation);
  if (execution == nullptr) return true;
  const auto& args = execution->args;
  return !args.empty() && std::all_of(args.begin(), args.end(), [&](const std::string& arg) {
    return std::find(allowed.begin(), allowed.end(), arg) != allowed.end();
  });
}

bool AreKept(const Conditions& conditions, const Subject& subject, const Operation& operation) {
  if (conditions.owner_only && !OwnerDoesIt(subject, operation)) return false;
  if (conditions.read_only && !Reads(operation)) return false;
  if (conditions.terminal && *conditions.terminal != subject.terminal) return false;
  return conditions.allowed_args.empty() || ArgsAreAllowed(conditions.allowed_args, operation);
}

// Everything that the rules of one section say about one operation.
class Verdict {
 public:
  Verdict(const Subject& subject, const Operation& operation) : subject_(subject), operation_(operation) {}

  // One rule of the section. `matches`: it is about what the operation is about.
  void Add(const Policy& policy, const Rule& rule, bool matches, const Rank& rank = {}) {
    if (!FromSource(rule, subject_)) return;
    if (rule.effect.action == Action::kAllow) Take({.policy = &policy, .rule = &rule}, closes_);
    if (!matches) return;
    const Candidate candidate{.policy = &policy, .rule = &rule, .rank = rank};
    const bool kept = AreKept(rule.conditions, subject_, operation_);
    switch (rule.effect.action) {
      case Action::kBlock:
        if (!kept || rule.conditions.empty()) Take(candidate, decides_);
        break;
      case Action::kAllow:
        if (kept) Take(candidate, decides_);
        break;
      case Action::kAudit:
        if (kept) Take(candidate, audits_);
        break;
    }
  }

  // A preset that is about the operation: nothing in the section opens what it blocks.
  void AddPreset(const Policy& policy, const Rule& rule) {
    Take({.policy = &policy, .rule = &rule}, rule.effect.action == Action::kBlock ? preset_blocks_ : audits_);
  }

  Decision Decide(Posture posture) const {
    if (preset_blocks_.rule != nullptr) return Of(preset_blocks_, Action::kBlock);
    const bool blocks = decides_.rule != nullptr && decides_.rule->effect.action == Action::kBlock;
    if (blocks) return Of(decides_, Action::kBlock);
    const bool unlisted = decides_.rule == nullptr && closes_.rule != nullptr;
    if (unlisted && posture == Posture::kBlock) return OfPosture(Action::kBlock);
    if (audits_.rule != nullptr) return Of(audits_, Action::kAudit);
    if (unlisted) return OfPosture(Action::kAudit);
    return Of(decides_, Action::kAllow);
  }

 private:
  static void Take(const Candidate& candidate, Candidate& best) {
    if (best.rule == nullptr || OrderOf(candidate) < OrderOf(best)) best = candidate;
  }
  static Decision Of(const Candidate& one, Action action) {
    return {.action = action, .by_posture = false, .policy = one.policy, .rule = one.rule};
  }
  Decision OfPosture(Action action) const {
    return {.action = action, .by_posture = true, .policy = closes_.policy, .rule = closes_.rule};
  }

  const Subject& subject_;
  const Operation& operation_;
  Candidate decides_;  // Allow or Block
  Candidate audits_;
  Candidate closes_;  // an Allow rule, which makes the section an allow list
  Candidate preset_blocks_;
};

// Adds the rules of the operation's section.
struct AddSection {
  const Policy& policy;
  Verdict& verdict;

  void operator()(const Execution& execution) const { AddPaths(policy.process, execution.path); }
  void operator()(const Opening& opening) const { AddPaths(policy.file, opening.path); }
  void operator()(const SocketCreation& creation) const {
    if (!IsNetworkSocket(creation.socket)) return;
    for (const ProtocolRule& rule : policy.protocols) {
      verdict.Add(policy, rule.rule, Matches(rule.protocol, creation.socket), RankOf(rule));
    }
  }
  void operator()(const Contact& contact) const {
    if (IsLoopback(contact.address)) return;
    for (const PeerRule& rule : policy.peers) verdict.Add(policy, rule.rule, Matches(rule, contact), RankOf(rule));
  }
  void operator()(const CapabilityUse& use) const {
    for (const CapabilityRule& rule : policy.capabilities) {
      verdict.Add(policy, rule.rule, rule.capability == use.capability);
    }
  }
  void operator()(const SystemCallUse& use) const {
    for (const SyscallRule& rule : policy.syscalls) verdict.Add(policy, rule.rule, Matches(rule, use));
  }
  void operator()(const CodeMapping& /*mapping*/) const {}

  void AddPaths(const std::vector<PathRule>& rules, std::string_view path) const {
    for (const PathRule& rule : rules) verdict.Add(policy, rule.rule, Matches(rule.target, path), RankOf(rule.target));
  }
};

Posture PostureOf(const Postures& postures, const Operation& operation) {
  if (std::holds_alternative<CapabilityUse>(operation)) return postures.capabilities;
  const bool network = std::holds_alternative<SocketCreation>(operation) || std::holds_alternative<Contact>(operation);
  return network ? postures.network : postures.file;
}

}  // namespace

Decision Evaluate(const std::vector<const Policy*>& policies, const Postures& postures, const Subject& subject,
                  const Operation& operation) {
  Verdict verdict(subject, operation);
  for (const Policy* policy : policies) {
    std::visit(AddSection{*policy, verdict}, operation);
    for (const PresetRule& preset : policy->presets) {
      if (Matches(preset.preset, operation)) verdict.AddPreset(*policy, preset.rule);
    }
  }
  return verdict.Decide(PostureOf(postures, operation));
}

}  // namespace sluice::policy::lsm
