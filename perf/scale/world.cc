#include "perf/scale/world.h"

#include <algorithm>

#include "bpf/abi/policy.h"

namespace sluice::perf {
namespace {

using policy::Address;

constexpr char kNamespace[] = "bench";
constexpr std::uint32_t kPodsBegin = 0x0a010000;    // 10.1.0.0: pods of other nodes
constexpr std::uint32_t kLocalsBegin = 0x0afd0000;  // 10.253.0.0: local workloads
constexpr std::uint32_t kBlocksBegin = 0x64400000;  // 100.64.0.0: /28s
constexpr std::uint32_t kBlockSize = 16;
constexpr std::uint32_t kPeersOfRules = 1000;
constexpr std::uint32_t kNoInterface = 1000000;  // for local workloads without traffic: indices that no interface has

Address Ipv4(std::uint32_t value) {
  std::array<std::uint8_t, 16> bytes{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
  for (int i = 0; i < 4; ++i) bytes[12 + i] = static_cast<std::uint8_t>(value >> (24 - 8 * i));
  return Address(bytes);
}

policy::Selector Select(const std::string& key, const std::string& value) {
  return {{{.key = key, .op = policy::Selector::Operator::kIn, .values = {value}}}};
}

policy::PortRule ServicePorts(std::uint32_t extra) {
  return {.protocol = policy::kTcp,
          .port = static_cast<std::uint16_t>(PERF_FIRST_SERVICE_PORT),
          .end_port = static_cast<std::uint16_t>(PERF_FIRST_SERVICE_PORT + PERF_SERVICE_PORTS + extra)};
}

class Builder {
 public:
  explicit Builder(std::uint32_t ifindex) : ifindex_(ifindex) {}

  // Number 0 receives the packets.
  void AddLocal(std::uint32_t number) {
    const policy::ObjectName name{kNamespace, fmt::format("local-{}", number)};
    policy::Workload workload{.name = name, .labels = {{"local", std::to_string(number)}}};
    workload.ips = {Ipv4(kLocalsBegin + number)};
    workload.host_interface = "unused";
    bindings_[name] = {number == 0 ? ifindex_ : kNoInterface + number, number + 1, workload.ips};
    policy::Resource resource{.id = {policy::Kind::kWorkload, name}};
    resource.workload = std::make_shared<const policy::Workload>(std::move(workload));
    resources_[resource.id] = std::move(resource);
  }

  void AddPods(std::uint32_t count) {
    for (std::uint32_t i = 0; i < count; ++i) {
      policy::Pod pod{.name = {kNamespace, fmt::format("pod-{}", i)}};
      pod.labels = {{"app", std::to_string(i)}, {"half", i % 2 == 0 ? "a" : "b"}};
      pod.ips = {Ipv4(kPodsBegin + i)};
      policy::Resource resource{.id = {policy::Kind::kPod, pod.name}};
      resource.pod = std::make_shared<const policy::Pod>(std::move(pod));
      resources_[resource.id] = std::move(resource);
    }
  }

  void AddPolicy(std::uint32_t local, std::vector<policy::Rule> ingress, std::vector<policy::Rule> egress = {}) {
    policy::NetworkPolicy one{.name = {kNamespace, fmt::format("policy-{}", local)}};
    one.pod_selector = Select("local", std::to_string(local));
    one.applies_to_ingress = true;
    one.applies_to_egress = !egress.empty();
    one.ingress = std::move(ingress);
    one.egress = std::move(egress);
    policy::Resource resource{.id = {policy::Kind::kNetworkPolicy, one.name}};
    resource.policy = std::make_shared<const policy::NetworkPolicy>(std::move(one));
    resources_[resource.id] = std::move(resource);
  }

  StatusOr<ScaleScenario> Build(std::uint32_t friendly, const AddressRotation& new_flows) const {
    ScaleScenario world{.pod = Ipv4(kLocalsBegin), .friend_ = Ipv4(friendly), .new_flows = new_flows};
    SL_ASSIGN_OR_RETURN(world.snapshot, policy::Snapshot::Build(resources_, bindings_, {}));
    return world;
  }

 private:
  const std::uint32_t ifindex_;
  policy::ResourceMap resources_;
  std::map<policy::ObjectName, policy::Binding> bindings_;
};

policy::Rule PodRule(const policy::Selector& selector, std::uint32_t extra_ports) {
  policy::Peer peer;
  peer.pod_selector = selector;
  return {.peers = {std::move(peer)}, .ports = {ServicePorts(extra_ports)}};
}

StatusOr<ScaleScenario> Identities(std::uint32_t size, Builder builder) {
  builder.AddLocal(0);
  builder.AddPods(size);
  builder.AddPolicy(0, {PodRule(Select("half", "a"), 0)});
  return builder.Build(kPodsBegin, {.first = kPodsBegin, .step = 2, .count = std::max(1U, size / 2)});
}

StatusOr<ScaleScenario> Rulesets(std::uint32_t size, Builder builder) {
  builder.AddPods(1);
  for (std::uint32_t i = 0; i < size / 2; ++i) {
    builder.AddLocal(i);
    const policy::Rule rule = PodRule(Select("app", "0"), i);  // different ports, else rulesets would be shared
    builder.AddPolicy(i, {rule}, {rule});
  }
  return builder.Build(kPodsBegin, {.first = kLocalsBegin, .count = size / 2, .destination = true});
}

StatusOr<ScaleScenario> Cidrs(std::uint32_t size, Builder builder) {
  builder.AddLocal(0);
  policy::Rule rule{.ports = {ServicePorts(0)}};
  for (std::uint32_t i = 0; i < size; ++i) {
    policy::Peer peer;
    peer.ip_block = policy::IpBlock{.cidr = policy::Prefix(Ipv4(kBlocksBegin + i * kBlockSize), 28)};
    rule.peers.push_back(std::move(peer));
  }
  builder.AddPolicy(0, {std::move(rule)});
  return builder.Build(kBlocksBegin + 7, {.first = kBlocksBegin + 7, .step = kBlockSize, .count = size});
}

StatusOr<ScaleScenario> Rules(std::uint32_t size, Builder builder) {
  const std::uint32_t peers = std::min(size, kPeersOfRules);
  builder.AddPods(peers);
  for (std::uint32_t local = 0; local * kPeersOfRules < size; ++local) {
    builder.AddLocal(local);
    std::vector<policy::Rule> rules;
    for (std::uint32_t i = 0; i < std::min(kPeersOfRules, size - local * kPeersOfRules); ++i)
      rules.push_back(PodRule(Select("app", std::to_string(i)), local));
    builder.AddPolicy(local, std::move(rules));
  }
  return builder.Build(kPodsBegin, {.first = kPodsBegin, .count = peers});
}

}  // namespace

const char* ToString(Grows what) {
  switch (what) {
    case Grows::kIdentities:
      return "identities";
    case Grows::kRulesets:
      return "rulesets";
    case Grows::kCidrs:
      return "cidrs";
    case Grows::kRules:
      return "rules";
  }
  return "?";
}

StatusOr<ScaleScenario> MakeScaleScenario(Grows what, std::uint32_t size, std::uint32_t ifindex) {
  Builder builder(ifindex);
  switch (what) {
    case Grows::kIdentities:
      return Identities(size, std::move(builder));
    case Grows::kRulesets:
      return Rulesets(size, std::move(builder));
    case Grows::kCidrs:
      return Cidrs(size, std::move(builder));
    case Grows::kRules:
      return Rules(size, std::move(builder));
  }
  return InvalidError("no world of that kind");
}

std::string IdentitiesYaml(std::uint32_t size, const std::string& interface) {
  std::string yaml = fmt::format(
      "{{apiVersion: sluice.dev/v1alpha1, kind: Workload, metadata: {{name: local-0, namespace: {0}, labels: {{local: "
      "\"0\"}}}}, spec: {{hostInterface: {1}, ips: [{2}]}}}}\n"
      "---\n{{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {{name: policy-0, namespace: {0}}}, "
      "spec: "
      "{{podSelector: {{matchLabels: {{local: \"0\"}}}}, ingress: [{{from: [{{podSelector: {{matchLabels: {{half: "
      "a}}}}}}], "
      "ports: [{{port: {3}}}]}}]}}}}\n",
      kNamespace, interface, Ipv4(kLocalsBegin).ToString(), PERF_FIRST_SERVICE_PORT);
  for (std::uint32_t i = 0; i < size; ++i)
    fmt::format_to(
        std::back_inserter(yaml),
        "---\n{{apiVersion: v1, kind: Pod, metadata: {{name: pod-{0}, namespace: {1}, labels: {{app: \"{0}\", "
        "half: {2}}}}}, status: {{phase: Running, podIPs: [{{ip: {3}}}]}}}}\n",
        i, kNamespace, i % 2 == 0 ? "a" : "b", Ipv4(kPodsBegin + i).ToString());
  return yaml;
}

}  // namespace sluice::perf
