#include "policy/lsm/peer_policies.h"

#include <algorithm>
#include <map>

#include "bpf/abi/policy.h"
#include "policy/lsm/match.h"
#include "policy/resource/line_text.h"

namespace sluice::policy::lsm {
namespace {

constexpr char kNamespaceName[] = "kubernetes.io/metadata.name";
// Selectors that the alternatives of matchExpressions stand for.
constexpr std::size_t kMaxSelectors = 64;

template <typename... A>
Status CannotEnforce(const Rule& rule, fmt::format_string<A...> format, A&&... args) {
  return MakeError(absl::StatusCode::kFailedPrecondition, "{}{}: {}", LineText(rule.place), rule.field,
                   fmt::format(format, std::forward<A>(args)...));
}

// Patterns of the packet path's rules: "*" has no "/", "**" has.
StatusOr<std::vector<std::string>> PatternsOf(const Rule& rule) {
  std::vector<std::string> patterns;
  for (const Source& source : rule.sources) {
    if (source.path.find_first_of("*?") != std::string::npos) continue;  // lenient: no program has such a path
    std::string pattern = source.path;
    if (source.directory) pattern += source.recursive ? "**" : "*";
    if (pattern.size() > SL_PROGRAM_PATH_MAX) {
      return CannotEnforce(rule, "fromSource: {} bytes: programs are known to the packet path by paths of at most {}",
                           source.path.size(), SL_PROGRAM_PATH_MAX);
    }
    patterns.push_back(std::move(pattern));
  }
  std::sort(patterns.begin(), patterns.end());
  patterns.erase(std::unique(patterns.begin(), patterns.end()), patterns.end());
  return patterns;
}

std::vector<PortRule> PortsOf(const PeerRule& rule) {
  if (!rule.protocol && !rule.ports) return {};
  std::vector<PortRule> ports;
  for (const std::uint8_t protocol : {kTcp, kUdp, kSctp}) {
    if (rule.protocol && *rule.protocol != protocol) continue;
    PortRule& port = ports.emplace_back(PortRule{.protocol = protocol});
    if (!rule.ports) continue;
    port.port = rule.ports->first;
    port.end_port = rule.ports->last;
  }
  return ports;
}

RuleAction ActionOf(Action action) {
  switch (action) {
    case Action::kAllow:
      return RuleAction::kAllow;
    case Action::kAudit:
      return RuleAction::kAudit;
    case Action::kBlock:
      break;
  }
  return RuleAction::kDeny;
}

// The rules of both postures. An Allow rule also makes an allow list for its programs.
StatusOr<std::pair<std::vector<policy::Rule>, bool>> RulesOf(const Policy& policy, bool blocks_unlisted) {
  std::vector<policy::Rule> rules;
  bool has_list = false;
  for (const PeerRule& from : policy.peers) {
    const Rule& rule = from.rule;
    if (rule.conditions.terminal) return CannotEnforce(rule, "pts: the packet path does not know terminals");
    SL_ASSIGN_OR_RETURN(std::vector<std::string> binaries, PatternsOf(rule));
    if (binaries.empty() && !rule.sources.empty()) continue;  // no program is meant
    policy::Rule to{.peers = {Peer{.ip_block = IpBlock{.cidr = from.cidr}}},
                    .ports = PortsOf(from),
                    .action = ActionOf(rule.effect.action),
                    .precedence = Precedence{.any_program = rule.sources.empty(),
                                             .rank = RankOf(from),
                                             .is_allow = rule.effect.action == Action::kAllow},
                    .field = rule.field};
    if (!binaries.empty()) to.processes = ProcessMatch{.binaries = std::move(binaries)};
    if (rule.effect.action == Action::kAllow) {
      has_list = true;
      policy::Rule rest{.action = blocks_unlisted ? RuleAction::kDeny : RuleAction::kAudit,
                        .processes = to.processes,
                        .precedence = Precedence{.any_program = to.precedence->any_program, .is_default = true},
                        .field = rule.field};
      rules.push_back(std::move(rest));
    }
    rules.push_back(std::move(to));
  }
  return std::make_pair(std::move(rules), has_list);
}

using Requirement = Selector::Requirement;

// One expression: one of its labels, or none of them. Each alternative is a list of requirements.
std::vector<std::vector<Requirement>> AlternativesOf(const Selection::LabelSet& set) {
  std::map<std::string, std::vector<std::string>> by_key;
  for (const auto& [key, value] : set.labels) by_key[key].push_back(value);
  std::vector<std::vector<Requirement>> alternatives;
  for (const auto& [key, values] : by_key) {
    Requirement one{
        .key = key, .op = set.negated ? Selector::Operator::kNotIn : Selector::Operator::kIn, .values = values};
    if (set.negated && !alternatives.empty()) {
      alternatives.front().push_back(std::move(one));
    } else {
      alternatives.push_back({std::move(one)});
    }
  }
  return alternatives;
}

// Selectors of pods: one of them must match.
StatusOr<std::vector<Selector>> SelectorsOf(const Policy& policy) {
  Selector all;
  for (const auto& [key, value] : policy.selection.labels) {
    all.requirements.push_back({.key = key, .op = Selector::Operator::kIn, .values = {value}});
  }
  std::vector<Selector> selectors = {all};
  for (const Selection::LabelSet& set : policy.selection.label_sets) {
    std::vector<Selector> more;
    for (const Selector& selector : selectors) {
      for (const std::vector<Requirement>& alternative : AlternativesOf(set)) {
        Selector& one = more.emplace_back(selector);
        one.requirements.insert(one.requirements.end(), alternative.begin(), alternative.end());
      }
    }
    selectors = std::move(more);
    if (selectors.size() > kMaxSelectors) {
      return MakeError(absl::StatusCode::kFailedPrecondition,
                       "spec.selector.matchExpressions: network.matchPeers can have at most {} combinations of labels",
                       kMaxSelectors);
    }
  }
  return selectors;
}

Selector NamespacesOf(const Policy& policy) {
  Selector selector;
  for (const Selection::NamespaceSet& set : policy.selection.namespaces) {
    selector.requirements.push_back({.key = kNamespaceName,
                                     .op = set.negated ? Selector::Operator::kNotIn : Selector::Operator::kIn,
                                     .values = set.names});
  }
  return selector;
}

StatusOr<PeerPolicies::List> PoliciesWith(const Policy& policy, bool blocks_unlisted) {
  SL_ASSIGN_OR_RETURN(const auto rules, RulesOf(policy, blocks_unlisted));
  SL_ASSIGN_OR_RETURN(const std::vector<Selector> selectors, SelectorsOf(policy));
  const bool cluster = policy.kind == Policy::Kind::kCluster;
  PeerPolicies::List list;
  for (const Selector& selector : selectors) {
    auto one = std::make_shared<NetworkPolicy>();
    one->api = cluster ? NetworkPolicy::Api::kKubeArmorCluster : NetworkPolicy::Api::kKubeArmor;
    one->name = policy.name;
    if (cluster) one->namespace_selector = NamespacesOf(policy);
    one->pod_selector = selector;
    one->default_deny = false;
    one->applies_to_egress = true;
    one->egress = rules.first;
    one->blocks_unlisted = blocks_unlisted && rules.second;
    list.push_back(std::move(one));
  }
  return list;
}

}  // namespace

StatusOr<std::shared_ptr<const PeerPolicies>> PeerPoliciesOf(const Policy& policy) {
  if (policy.peers.empty()) return std::shared_ptr<const PeerPolicies>();
  if (policy.kind == Policy::Kind::kHost) {
    return CannotEnforce(policy.peers.front().rule, "the packet path has rules for pods only: use a KubeArmorPolicy");
  }
  if (!policy.selection.containers.empty()) {
    return CannotEnforce(policy.peers.front().rule,
                         "the packet path has rules for whole pods: leave kubearmor.io/container.name out, or write "
                         "another policy for the peers");
  }
  auto peers = std::make_shared<PeerPolicies>();
  SL_ASSIGN_OR_RETURN(peers->audit, PoliciesWith(policy, false));
  SL_ASSIGN_OR_RETURN(peers->block, PoliciesWith(policy, true));
  if (!peers->block.front()->blocks_unlisted) peers->block = peers->audit;
  return peers;
}

}  // namespace sluice::policy::lsm
