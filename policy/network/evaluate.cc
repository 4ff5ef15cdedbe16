#include "policy/network/evaluate.h"

#include <algorithm>

namespace sluice::policy {

// 1: the pods of its own namespace that its podSelector selects; 53: of the namespaces that its namespaceSelector
// selects.
bool Selects(const NetworkPolicy& policy, const Endpoint& subject) {
  return policy.Selects(subject.name.ns, *subject.namespace_labels, subject.labels);
}

// 1, 2: in the directions that its policyTypes name; its rules for other directions are ignored.
bool AppliesTo(const NetworkPolicy& policy, const Endpoint& subject, Direction direction) {
  return policy.AppliesTo(direction) && Selects(policy, subject);
}

bool PeerMatches(const NetworkPolicy& policy, const Peer& peer, const Address& address, const Endpoint* pod) {
  if (peer.ip_block) return peer.ip_block->Matches(address);  // 8, 9: pods and node addresses too
  if (!pod) return false;                                     // 15: selectors match neither the node nor the outside
  const bool right_namespace = peer.namespace_selector ? peer.namespace_selector->Matches(*pod->namespace_labels)
                                                       : pod->name.ns == policy.name.ns;      // 7
  return right_namespace && (!peer.pod_selector || peer.pod_selector->Matches(pod->labels));  // 7, 10
}

bool PortMatches(const PortRule& rule, const Flow& flow, const Endpoint* destination) {
  if (rule.protocol != flow.protocol) return false;  // 13
  if (!rule.port_name.empty()) {                     // 11
    return destination && std::any_of(destination->ports.begin(), destination->ports.end(), [&](const NamedPort& p) {
             return p.name == rule.port_name && p.protocol == flow.protocol && p.port == flow.port;
           });
  }
  if (!rule.port) return true;                                                        // 11
  return flow.port >= *rule.port && flow.port <= rule.end_port.value_or(*rule.port);  // 12
}

namespace {

// The policies that apply to `subject`, each with its rules that match by peer and port.
std::vector<PolicyMatch> MatchByPeerAndPort(const Snapshot& snapshot, const Endpoint& subject, Direction direction,
                                            const Flow& flow) {
  const Address& peer_address = direction == Direction::kIngress ? flow.source : flow.destination;
  const Endpoint* peer_pod = snapshot.Find(peer_address);
  const Endpoint* destination = direction == Direction::kIngress ? &subject : peer_pod;

  std::vector<PolicyMatch> matches;
  for (const auto& policy : snapshot.policies) {
    if (!AppliesTo(*policy, subject, direction)) continue;
    PolicyMatch match{policy.get(), {}};
    const std::vector<Rule>& rules = policy->rules(direction);
    for (std::size_t i = 0; i < rules.size(); i++) {
      const Rule& rule = rules[i];
      const bool peer = rule.peers.empty() ||  // 5
                        std::any_of(rule.peers.begin(), rule.peers.end(),
                                    [&](const Peer& p) { return PeerMatches(*policy, p, peer_address, peer_pod); });
      const bool port = rule.ports.empty() ||  // 5
                        std::any_of(rule.ports.begin(), rule.ports.end(),
                                    [&](const PortRule& p) { return PortMatches(p, flow, destination); });
      if (peer && port) match.rules.push_back(i);  // 6
    }
    matches.push_back(std::move(match));
  }
  return matches;
}

bool ProcessMatches(const NetworkPolicy& policy, const Rule& rule, const Process& process) {
  if (!rule.processes) return true;
  const Met met = Meets(process, *rule.processes);                                     // 41
  return met == Met::kYes || (met == Met::kNotKnown && MatchesUnknown(policy, rule));  // 47
}

// One direction at one workload.
struct Ruling {
  Decision decision;
  bool by_process = false;
};

Ruling Decide(const Snapshot& snapshot, const Endpoint& subject, Direction direction, const Flow& flow) {
  std::vector<PolicyMatch> matches = MatchByPeerAndPort(snapshot, subject, direction, flow);
  const auto& behind = direction == Direction::kIngress ? flow.destination_process : flow.source_process;  // 45
  const Process& process = behind ? *behind : kUnknownProcess;
  Ruling ruling;
  for (PolicyMatch& match : matches) {
    std::erase_if(match.rules, [&](std::size_t i) {
      const Rule& rule = match.policy->rules(direction)[i];
      if (rule.processes) ruling.by_process = true;
      return !ProcessMatches(*match.policy, rule, process);
    });
  }
  ruling.decision = Combine(direction, matches);  // 3
  return ruling;
}

}  // namespace

const char* ExemptionName(Exemption exemption) {
  switch (exemption) {
    case Exemption::kNone:
      return "";
    case Exemption::kFromNode:
      return "FROM_NODE";
    case Exemption::kToItself:
      return "TO_ITSELF";
  }
  return "";
}

Evaluation Evaluate(const Snapshot& snapshot, const Flow& flow, Scope scope, const Quarantine& quarantine) {
  const auto evaluated = [&](const Endpoint* end) { return end && (scope == Scope::kEverywhere || end->ifindex != 0); };
  const Endpoint* source = snapshot.Find(flow.source);
  const Endpoint* destination = snapshot.Find(flow.destination);
  const bool to_itself = source && source == destination;  // 14, 22

  Evaluation answer;
  const Decision stopped{.allowed = false};
  if (evaluated(source) && quarantine.Stops(source->name, flow.destination)) answer.egress = stopped;        // 38, 39
  if (evaluated(destination) && quarantine.Stops(destination->name, flow.source)) answer.ingress = stopped;  // 38, 39
  if (answer.egress || answer.ingress) {
    answer.allowed = false;
    answer.quarantined = true;
    return answer;
  }
  if (to_itself && evaluated(source)) answer.exemption = Exemption::kToItself;            // 14, 22
  if (flow.from_node && evaluated(destination)) answer.exemption = Exemption::kFromNode;  // 14
  const bool is_exempt = answer.exemption != Exemption::kNone;
  if (evaluated(source) && !flow.from_node) {
    Ruling ruling = is_exempt ? Ruling{} : Decide(snapshot, *source, Direction::kEgress, flow);
    answer.egress = std::move(ruling.decision);
    answer.egress_by_process = ruling.by_process;
  }
  if (evaluated(destination)) {
    Ruling ruling = is_exempt ? Ruling{} : Decide(snapshot, *destination, Direction::kIngress, flow);
    answer.ingress = std::move(ruling.decision);
    answer.ingress_by_process = ruling.by_process;
  }
  for (const auto* decision : {&answer.egress, &answer.ingress}) {
    if (!*decision) continue;
    answer.allowed = answer.allowed && (*decision)->allowed;
    answer.audit_denied = answer.audit_denied || (*decision)->audit_denied;
  }
  answer.audit_denied = answer.audit_denied && answer.allowed;
  return answer;
}

}  // namespace sluice::policy
