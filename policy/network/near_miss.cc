#include "policy/network/near_miss.h"

#include <absl/strings/ascii.h>

#include <algorithm>

namespace sluice::policy {
namespace {

using Differences = std::vector<std::string>;

constexpr std::size_t kMostListed = 4;

std::string List(const std::vector<std::string>& items) {
  const std::size_t shown = std::min(items.size(), kMostListed);
  std::string text =
      fmt::format("{}", fmt::join(items.begin(), items.begin() + static_cast<std::ptrdiff_t>(shown), ", "));
  return items.size() == shown ? text : fmt::format("{} and {} more", text, items.size() - shown);
}

std::string ProtocolText(std::uint8_t protocol) {
  const std::string name = ProtocolName(protocol);
  return absl::ascii_isdigit(name.front()) ? "IP protocol " + name : name;
}

// In the syntax of kubectl's -l.
std::string RequirementText(const Selector::Requirement& requirement) {
  switch (requirement.op) {
    case Selector::Operator::kIn:
      if (requirement.values.size() == 1) return requirement.key + "=" + requirement.values.front();
      return fmt::format("{} in ({})", requirement.key, List(requirement.values));
    case Selector::Operator::kNotIn:
      return fmt::format("{} notin ({})", requirement.key, List(requirement.values));
    case Selector::Operator::kExists:
      return requirement.key;
    case Selector::Operator::kDoesNotExist:
      return "!" + requirement.key;
  }
  return "";
}

// `owner`: the name of the labels' owner.
void AddLabelDifferences(const Selector& selector, const Labels& labels, const std::string& owner, Differences& out) {
  for (const Selector::Requirement& requirement : selector.requirements) {
    if (Selector{{requirement}}.Matches(labels)) continue;
    const auto label = labels.find(requirement.key);
    const std::string has = label == labels.end() ? "no label " + requirement.key
                                                  : fmt::format("the label {}={}", requirement.key, label->second);
    out.push_back(fmt::format("peer: {} has {}, and the rule asks for {}", owner, has, RequirementText(requirement)));
  }
}

Differences BlockDifferences(const IpBlock& block, const Address& address) {
  if (block.Matches(address)) return {};
  for (const Prefix& hole : block.except) {
    if (!hole.Contains(address)) continue;
    return {fmt::format("peer: {} is in {}, which the rule excludes from {}", address.ToString(), hole.ToString(),
                        block.cidr.ToString())};
  }
  return {fmt::format("peer: {} is not in {}", address.ToString(), block.cidr.ToString())};
}

// `pod` is null when no pod has `address`.
Differences PeerDifferences(const NetworkPolicy& policy, const Peer& peer, const Address& address,
                            const Endpoint* pod) {
  if (peer.ip_block) return BlockDifferences(*peer.ip_block, address);
  if (pod == nullptr) {
    return {fmt::format("peer: {} is not a workload or pod, and the rule asks for one", address.ToString())};
  }
  Differences out;
  if (peer.namespace_selector) {
    AddLabelDifferences(*peer.namespace_selector, *pod->namespace_labels, "namespace " + pod->name.ns, out);
  } else if (pod->name.ns != policy.name.ns) {
    out.push_back(fmt::format("peer: {} is not in namespace {}", pod->name.ToString(), policy.name.ns));
  }
  if (peer.pod_selector) AddLabelDifferences(*peer.pod_selector, pod->labels, pod->name.ToString(), out);
  return out;
}

// The differences for the peer that comes nearest.
Differences PeersDifferences(const NetworkPolicy& policy, const Rule& rule, const Address& address,
                             const Endpoint* pod) {
  Differences nearest;
  for (const Peer& peer : rule.peers) {
    if (PeerMatches(policy, peer, address, pod)) return {};
    Differences these = PeerDifferences(policy, peer, address, pod);
    if (nearest.empty() || these.size() < nearest.size()) nearest = std::move(these);
  }
  return nearest;
}

// A named port is shown with its number at `destination`, which is null if it is not a pod.
std::string PortText(const PortRule& port, const Endpoint* destination) {
  std::string protocol = ProtocolText(port.protocol);
  if (port.port && port.end_port) return fmt::format("{}-{}/{}", *port.port, *port.end_port, protocol);
  if (port.port) return fmt::format("{}/{}", *port.port, protocol);
  if (port.port_name.empty()) return protocol;
  const auto has_name = [&](const NamedPort& p) { return p.name == port.port_name && p.protocol == port.protocol; };
  if (destination != nullptr) {
    const auto named = std::find_if(destination->ports.begin(), destination->ports.end(), has_name);
    if (named != destination->ports.end()) return fmt::format("{} ({}/{})", port.port_name, named->port, protocol);
  }
  return fmt::format("{}/{} (the destination has no port of this name)", port.port_name, protocol);
}

Differences PortDifferences(const Rule& rule, const Flow& flow, const Endpoint* destination) {
  std::vector<std::string> ports;
  for (const PortRule& port : rule.ports) {
    if (PortMatches(port, flow, destination)) return {};
    ports.push_back(PortText(port, destination));
  }
  if (ports.empty()) return {};
  const bool has_port = flow.protocol == kTcp || flow.protocol == kUdp || flow.protocol == kSctp;
  const std::string wanted =
      has_port ? fmt::format("{}/{}", flow.port, ProtocolText(flow.protocol)) : ProtocolText(flow.protocol);
  return {fmt::format("port: {} is not among {}", wanted, List(ports))};
}

Differences ProcessDifferences(const NetworkPolicy& policy, const Rule& rule, const Process& process) {
  if (!rule.processes) return {};
  Differences out;
  const auto add = [&](const ProcessMatch& part, const std::string& not_known, const std::string& not_met) {
    const Met met = Meets(process, part);
    if (met == Met::kNotKnown && !MatchesUnknown(policy, rule)) out.push_back(not_known);
    if (met == Met::kNo) out.push_back(not_met);
  };
  const std::string binaries = List(rule.processes->binaries), ancestors = List(rule.processes->ancestors);
  add({.binaries = rule.processes->binaries, .ancestors = {}},
      fmt::format("process: it is not known, and the rule asks for {}", binaries),
      fmt::format("process: {} is not among {}", process.binary, binaries));
  add({.binaries = {}, .ancestors = rule.processes->ancestors},
      fmt::format("ancestor: not all are known, and the rule asks for {}", ancestors),
      fmt::format("ancestor: the process has none among {}", ancestors));
  return out;
}

}  // namespace

std::vector<NearMiss> NearMisses(const Snapshot& snapshot, const Flow& flow, Direction direction, std::size_t limit) {
  const bool ingress = direction == Direction::kIngress;
  const Address& peer = ingress ? flow.source : flow.destination;
  const Endpoint* peer_pod = snapshot.Find(peer);
  const Endpoint* subject = snapshot.Find(ingress ? flow.destination : flow.source);
  const auto& behind = ingress ? flow.destination_process : flow.source_process;
  std::vector<NearMiss> misses;
  for (const auto& policy : snapshot.policies) {
    if (subject == nullptr || policy->mode != PolicyMode::kEnforce || policy->IsKubeArmor() ||
        !AppliesTo(*policy, *subject, direction))
      continue;
    const std::vector<Rule>& rules = policy->rules(direction);
    for (std::size_t i = 0; i < rules.size(); ++i) {
      if (rules[i].action != RuleAction::kAllow) continue;
      Differences all = PeersDifferences(*policy, rules[i], peer, peer_pod);
      for (const Differences& part : {PortDifferences(rules[i], flow, ingress ? subject : peer_pod),
                                      ProcessDifferences(*policy, rules[i], behind ? *behind : kUnknownProcess)}) {
        all.insert(all.end(), part.begin(), part.end());
      }
      if (all.empty()) return {};
      misses.push_back({{.api = policy->api,
                         .policy = policy->name,
                         .rule = fmt::format("{}[{}]", ingress ? "ingress" : "egress", i)},
                        std::move(all)});
    }
  }
  std::stable_sort(misses.begin(), misses.end(),
                   [](const NearMiss& a, const NearMiss& b) { return a.differences.size() < b.differences.size(); });
  misses.resize(std::min(misses.size(), limit));
  return misses;
}

}  // namespace sluice::policy
