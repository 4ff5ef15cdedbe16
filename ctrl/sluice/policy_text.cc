#include "ctrl/sluice/policy_text.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "policy/resource/model.h"

namespace sluice::client {
namespace {

using policy::Direction;
using policy::Selector;

std::string RequirementText(const Selector::Requirement& requirement) {
  switch (requirement.op) {
    case Selector::Operator::kIn:
      if (requirement.values.size() == 1) return requirement.key + "=" + requirement.values.front();
      return fmt::format("{} in ({})", requirement.key, fmt::join(requirement.values, ", "));
    case Selector::Operator::kNotIn:
      if (requirement.values.size() == 1) return requirement.key + "!=" + requirement.values.front();
      return fmt::format("{} not in ({})", requirement.key, fmt::join(requirement.values, ", "));
    case Selector::Operator::kExists:
      return requirement.key;
    case Selector::Operator::kDoesNotExist:
      return "no " + requirement.key;
  }
  return "";
}

// "pods" or "namespaces", all or those with labels.
std::string ChosenText(const char* what, const Selector& selector) {
  if (selector.requirements.empty()) return fmt::format("all {}", what);
  return fmt::format("{} with {}", what, SelectorText(selector));
}

std::string PeerText(const policy::Peer& peer) {
  if (peer.ip_block) {
    std::vector<std::string> except;
    for (const policy::Prefix& prefix : peer.ip_block->except) except.push_back(prefix.ToString());
    const std::string cidr = peer.ip_block->cidr.ToString();
    return except.empty() ? cidr : fmt::format("{} except {}", cidr, fmt::join(except, ", "));
  }
  const std::string pods = ChosenText("pods", peer.pod_selector.value_or(Selector()));
  if (!peer.namespace_selector) return pods + " of this namespace";
  return pods + " of " + ChosenText("namespaces", *peer.namespace_selector);
}

std::string PortText(const policy::PortRule& rule) {
  const std::string protocol = policy::ProtocolName(rule.protocol);
  if (!rule.port_name.empty()) return fmt::format("{} port {}", protocol, rule.port_name);
  if (!rule.port) return fmt::format("all of {}", protocol);
  return rule.end_port ? fmt::format("{} {}-{}", protocol, *rule.port, *rule.end_port)
                       : fmt::format("{} {}", protocol, *rule.port);
}

template <typename T>
std::string List(const std::vector<T>& items, std::string (*text)(const T&), const char* none) {
  if (items.empty()) return none;
  std::vector<std::string> texts;
  for (const T& item : items) texts.push_back(text(item));
  return fmt::format("{}", fmt::join(texts, "; "));
}

const char* ActionText(policy::RuleAction action) {
  switch (action) {
    case policy::RuleAction::kDeny:
      return "deny";
    case policy::RuleAction::kAudit:
      return "audit";
    case policy::RuleAction::kAllow:
      break;
  }
  return "allow";
}

std::string RuleText(const policy::Rule& rule, Direction direction) {
  std::string text =
      fmt::format("{} {} {} {}", ActionText(rule.action), List(rule.ports, PortText, "everything"),
                  direction == Direction::kIngress ? "from" : "to", List(rule.peers, PeerText, "everybody"));
  if (!rule.processes) return text;
  if (!rule.processes->binaries.empty()) text += fmt::format(", by {}", fmt::join(rule.processes->binaries, ", "));
  if (!rule.processes->ancestors.empty()) {
    text += fmt::format(", below {}", fmt::join(rule.processes->ancestors, ", "));
  }
  return text;
}

}  // namespace

std::string SelectorText(const Selector& selector) {
  if (selector.requirements.empty()) return "everything";
  std::vector<std::string> texts;
  for (const Selector::Requirement& requirement : selector.requirements) texts.push_back(RequirementText(requirement));
  return fmt::format("{}", fmt::join(texts, ", "));
}

std::vector<std::string> RuleTexts(const policy::NetworkPolicy& policy, Direction direction) {
  std::vector<std::string> texts;
  if (!policy.AppliesTo(direction)) return texts;
  const char* const name = direction == Direction::kIngress ? "ingress" : "egress";
  for (const policy::Rule& rule : policy.rules(direction)) {
    texts.push_back(fmt::format("{}[{}]: {}", name, texts.size(), RuleText(rule, direction)));
  }
  return texts;
}

}  // namespace sluice::client
