#include "tests/support/random_policy.h"

#include <algorithm>

namespace sluice::test {
namespace {

using namespace sluice::policy;

const std::vector<std::string> kNamespaces = {"red", "green", "blue"};
const std::vector<std::string> kKeys = {"app", "tier", "pod-template-hash"};
const std::vector<std::string> kValues = {"a", "b", "c"};
const std::vector<std::string> kNamespaceKeys = {"team", "kubernetes.io/metadata.name"};
const std::vector<std::string> kPortNames = {"http", "dns", "admin"};
const std::vector<std::uint8_t> kProtocols = {kTcp, kUdp, kSctp};
const std::vector<std::uint16_t> kPorts = {1, 53, 80, 81, 443, 8080, 65535};
const std::vector<std::string> kPrograms = {"/usr/bin/psql",  "/usr/bin/python3",    "/usr/bin/bash",
                                            "/usr/sbin/sshd", "/opt/app/bin/server", "/opt/app/run.sh",
                                            "/opt/other"};
const std::vector<std::string> kPatterns = {"/usr/bin/psql", "/usr/*/sshd", "/usr/bin/*",    "/opt/**",
                                            "/opt/*",        "**.sh",       "/usr/bin/???h", "**/python?"};
constexpr int kProcessMatches = 5;

Address Parsed(const std::string& text) { return Address::Parse(text).value(); }

template <typename T>
Resource Wrap(Kind kind, ObjectName name, std::shared_ptr<const T> Resource::*member, T value) {
  Resource resource;
  resource.id = {kind, std::move(name)};
  resource.*member = std::make_shared<const T>(std::move(value));
  return resource;
}

}  // namespace

RandomPolicy::RandomPolicy(std::uint64_t seed, RandomPolicyOptions options) : options_(options), engine_(seed) {}

Labels RandomPolicy::RandomLabels() {
  Labels labels;
  for (const std::string& key : kKeys) {
    if (Chance(60)) labels[key] = Pick(kValues);
  }
  return labels;
}

Selector RandomPolicy::RandomSelector(bool of_namespaces) {
  Selector selector;
  for (std::uint32_t i = Below(3); i > 0; i--) {
    Selector::Requirement requirement;
    requirement.key = of_namespaces ? Pick(kNamespaceKeys) : kKeys[Chance(10) ? 2 : Below(2)];
    requirement.op = static_cast<Selector::Operator>(Below(4));
    if (requirement.op == Selector::Operator::kIn || requirement.op == Selector::Operator::kNotIn) {
      for (std::uint32_t v = 1 + Below(2); v > 0; v--) {
        const bool by_name = of_namespaces && requirement.key != "team";
        requirement.values.push_back(Pick(by_name ? kNamespaces : kValues));
      }
    }
    selector.requirements.push_back(std::move(requirement));
  }
  return selector;
}

std::vector<NamedPort> RandomPolicy::RandomNamedPorts() {
  std::vector<NamedPort> ports;
  for (std::uint32_t i = Below(4); i > 0; i--) ports.push_back({Pick(kPortNames), Pick(kPorts), Pick(kProtocols)});
  return ports;
}

// An address from two small blocks for pods or just beside them, and sometimes from anywhere.
Address RandomPolicy::RandomAddress() {
  const std::uint32_t kind = Below(10);
  if (kind < 4) return Parsed("10.1.0." + std::to_string(Below(64)));
  if (kind < 7) return Parsed(fmt::format("fd00::{:x}", Below(64)));
  if (kind < 8) return Parsed(fmt::format("10.{}.{}.{}", Below(4), Below(4), Below(256)));
  if (kind < 9) return Parsed(fmt::format("{}.{}.3.4", 1 + Below(223), Below(256)));
  return Parsed(fmt::format("{:x}:{:x}::{:x}", 0x2000 + Below(0x1000), Below(4), 1 + Below(4)));
}

Prefix RandomPolicy::RandomPrefix() {
  const Address address = RandomAddress();
  const int longest = address.is_v4() ? 32 : 128;
  switch (Below(5)) {
    case 0:
      return Prefix(address, 0);
    case 1:
      return Prefix::Host(address);
    case 2:
      return Prefix(address, static_cast<int>(Below(longest + 1)));
    default:
      return Prefix(address, longest - static_cast<int>(Below(12)));
  }
}

IpBlock RandomPolicy::RandomBlock() {
  IpBlock block{RandomPrefix(), {}};
  for (std::uint32_t i = Below(4); i > 0; i--) {
    const Prefix hole = RandomPrefix();
    if (block.cidr.Contains(hole) && hole != block.cidr) block.except.push_back(hole);
  }
  return block;
}

// A policy of the whole cluster has no namespace that a podSelector alone could mean.
Peer RandomPolicy::RandomPeer(bool of_cluster) {
  Peer peer;
  const std::uint32_t kind = Below(10);
  if (kind < 4) {
    peer.ip_block = RandomBlock();
    return peer;
  }
  if (kind < 8) peer.pod_selector = RandomSelector(false);
  if (kind >= 6 || of_cluster) peer.namespace_selector = RandomSelector(true);
  return peer;
}

PortRule RandomPolicy::RandomPort() {
  PortRule rule;
  rule.protocol = Pick(kProtocols);
  switch (Below(6)) {
    case 0:
      break;
    case 1:
    case 2:
      rule.port_name = Pick(kPortNames);
      break;
    case 3: {
      rule.port = Pick(kPorts);
      rule.end_port = static_cast<std::uint16_t>(*rule.port + Below(65536U - *rule.port));
      break;
    }
    default:
      rule.port = Pick(kPorts);
  }
  return rule;
}

Rule RandomPolicy::RandomRule(NetworkPolicy::Api api) {
  const bool sluice = api != NetworkPolicy::Api::kKubernetes;
  const bool of_cluster = api == NetworkPolicy::Api::kSluiceCluster;
  Rule rule;
  for (std::uint32_t i = Below(4); i > 0; i--) rule.peers.push_back(RandomPeer(of_cluster));
  for (std::uint32_t i = Below(4); i > 0; i--) rule.ports.push_back(RandomPort());
  if (sluice && Chance(50)) rule.action = Chance(50) ? RuleAction::kDeny : RuleAction::kAudit;
  if (sluice && options_.processes && Chance(60)) {
    rule.processes = Pick(process_matches_);
    if (Chance(60)) rule.peers.clear();  // so that such rules overlap
    if (Chance(60)) rule.ports.clear();
  }
  return rule;
}

ProcessMatch RandomPolicy::RandomProcesses() {
  const auto patterns = [&](std::uint32_t least) {
    std::vector<std::string> out;
    for (std::uint32_t i = std::max(least, Below(3)); i > 0; i--) out.push_back(Pick(kPatterns));
    return out;
  };
  ProcessMatch match;
  match.binaries = patterns(0);
  if (match.binaries.empty() || Chance(40)) match.ancestors = patterns(1);
  return match;
}

std::optional<Process> RandomPolicy::NextProcess() {
  if (Chance(20)) return std::nullopt;
  Process process{.binary = Pick(kPrograms)};
  if (Chance(20)) process.script = Pick(kPrograms);
  for (std::uint32_t i = Below(4); i > 0; i--) process.ancestors.push_back(Pick(kPrograms));
  process.more_ancestors = Chance(20);
  return process;
}

void RandomPolicy::AddNamespace(const std::string& name) {
  Namespace ns{name, {}};
  if (Chance(70)) ns.labels["team"] = Pick(kValues);
  Resource resource = Wrap(Kind::kNamespace, {"", name}, &Resource::ns, std::move(ns));
  resources_.insert_or_assign(resource.id, resource);
}

void RandomPolicy::AddWorkload(int number) {
  Workload workload;
  workload.name = {kNamespaces[number % kNamespaces.size()], fmt::format("local-{}", number)};
  workload.labels = RandomLabels();
  workload.ports = RandomNamedPorts();
  workload.netns = "/run/netns/" + workload.name.name;
  workload.ips = {Parsed(fmt::format("10.1.0.{}", number)), Parsed(fmt::format("fd00::{:x}", number))};
  bindings_[workload.name] = {options_.first_ifindex + number, static_cast<std::uint32_t>(number + 1), workload.ips};
  Resource resource = Wrap(Kind::kWorkload, workload.name, &Resource::workload, workload);
  resources_.insert_or_assign(resource.id, resource);
}

void RandomPolicy::AddPod(int number) {
  Pod pod;
  pod.name = {Pick(kNamespaces), fmt::format("pod-{}", number)};
  pod.uid = std::to_string(number);
  pod.labels = RandomLabels();
  pod.ports = RandomNamedPorts();
  pod.ips = {RandomAddress()};
  if (Chance(50)) pod.ips.push_back(RandomAddress());
  pod.host_network = Chance(5);
  pod.finished = Chance(5);
  Resource resource = Wrap(Kind::kPod, pod.name, &Resource::pod, pod);
  resources_.insert_or_assign(resource.id, resource);
}

void RandomPolicy::AddPolicy(int number) {
  NetworkPolicy policy;
  const bool sluice = Chance(60);
  const bool of_cluster = sluice && Chance(35);
  policy.api = of_cluster ? NetworkPolicy::Api::kSluiceCluster
               : sluice   ? NetworkPolicy::Api::kSluice
                          : NetworkPolicy::Api::kKubernetes;
  policy.name = {Pick(kNamespaces),
                 fmt::format("policy-{}", number / 2)};  // some policies of several kinds share a name
  if (of_cluster) {
    policy.name.ns.clear();
    policy.namespace_selector = RandomSelector(true);
    policy.default_deny = Chance(40);
  }
  policy.pod_selector = RandomSelector(false);
  policy.applies_to_ingress = Chance(65);
  policy.applies_to_egress = Chance(65);
  for (std::uint32_t i = Below(4); i > 0; i--) policy.ingress.push_back(RandomRule(policy.api));
  for (std::uint32_t i = Below(4); i > 0; i--) policy.egress.push_back(RandomRule(policy.api));
  if (sluice && Chance(40)) policy.mode = PolicyMode::kAudit;
  if (sluice && options_.processes && Chance(50)) policy.unknown_processes = UnknownProcesses::kAllow;
  Resource resource = Wrap(KindOf(policy.api), policy.name, &Resource::policy, policy);
  resources_.insert_or_assign(resource.id, resource);
}

std::shared_ptr<const Snapshot> RandomPolicy::Build() const {
  return Snapshot::Build(resources_, bindings_, node_addresses_).value();
}

std::shared_ptr<const Snapshot> RandomPolicy::NextSnapshot() {
  resources_.clear();
  bindings_.clear();
  process_matches_.clear();
  for (int i = 0; options_.processes && i < kProcessMatches; i++) process_matches_.push_back(RandomProcesses());
  node_addresses_ = {Parsed("10.1.0.254"), Parsed("fd00::fe"), Parsed("192.0.2.1"), RandomAddress()};
  for (std::size_t i = 0; i + (Chance(20) ? 1 : 0) < kNamespaces.size(); i++) AddNamespace(kNamespaces[i]);
  for (int i = 0; i < options_.workloads; i++) AddWorkload(i);
  for (int i = 0; i < options_.pods; i++) AddPod(i);
  for (int i = 0; i < options_.policies; i++) AddPolicy(i);
  return Build();
}

std::shared_ptr<const Snapshot> RandomPolicy::NextChange() {
  switch (Below(5)) {
    case 0:
      AddNamespace(Pick(kNamespaces));
      break;
    case 1:
      AddWorkload(static_cast<int>(Below(options_.workloads)));
      break;
    case 2:
      AddPod(static_cast<int>(Below(options_.pods)));
      break;
    case 3: {
      auto victim = resources_.begin();
      std::advance(victim, Below(static_cast<std::uint32_t>(resources_.size())));
      bindings_.erase(victim->first.name);
      resources_.erase(ResourceId(victim->first));
      break;
    }
    default:
      AddPolicy(static_cast<int>(Below(options_.policies)));
  }
  return Build();
}

Quarantine RandomPolicy::NextQuarantine() {
  Quarantine quarantine;
  for (const auto& [name, binding] : bindings_) {
    if (Chance(25)) quarantine.workloads.insert(name);
  }
  for (std::uint32_t i = Below(4); i > 0; i--) quarantine.allow.push_back(RandomPrefix());
  return quarantine;
}

Flow RandomPolicy::NextFlow(const Snapshot& snapshot) {
  const auto end = [&]() -> Address {
    const std::uint32_t kind = Below(20);
    if (kind < 11)
      return bindings_.empty() ? RandomAddress() : [&] {
        auto at = bindings_.begin();
        std::advance(at, Below(static_cast<std::uint32_t>(bindings_.size())));
        return Pick(at->second.ips);
      }();
    if (kind < 15 && !snapshot.by_address.empty()) {
      auto at = snapshot.by_address.begin();
      std::advance(at, Below(static_cast<std::uint32_t>(snapshot.by_address.size())));
      return at->first;
    }
    if (kind < 16) return Pick(node_addresses_);
    return RandomAddress();
  };
  Flow flow;
  flow.source = end();
  do {
    flow.destination = end();
  } while (flow.destination.is_v4() != flow.source.is_v4());
  const std::uint32_t kind = Below(20);
  if (kind == 0) {
    flow.protocol = flow.source.is_v4() ? kIcmp : kIcmpv6;
  } else if (kind == 1) {
    flow.protocol = static_cast<std::uint8_t>(Below(256));
  } else {
    flow.protocol = Pick(kProtocols);
  }
  const bool has_ports = flow.protocol == kTcp || flow.protocol == kUdp || flow.protocol == kSctp;
  if (has_ports) flow.port = static_cast<std::uint16_t>(Chance(70) ? Pick(kPorts) + Below(3) - 1 : Below(65536));
  flow.from_node = Chance(3);
  if (options_.processes) {
    flow.source_process = NextProcess();
    flow.destination_process = NextProcess();
  }
  return flow;
}

}  // namespace sluice::test
