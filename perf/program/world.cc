#include "perf/program/world.h"

#include "perf/bpf/rotation.h"
#include "policy/resource/parser.h"

namespace sluice::perf {
namespace {

constexpr char kPod6[] = "fd00::2", kStranger6[] = "fd02::1";

std::string PodYaml(const std::string& name, const std::string& v4, const std::string& v6) {
  return fmt::format(
      "---\n{{apiVersion: v1, kind: Pod, metadata: {{name: {0}, namespace: bench, labels: {{peer: {0}}}}}, "
      "status: {{phase: Running, podIPs: [{{ip: {1}}}, {{ip: \"{2}\"}}]}}}}\n",
      name, v4, v6);
}

// The rules of one direction; `side` is "from" or "to".
std::string RulesYaml(const ScenarioSize& size, const char* side) {
  const std::string ports = fmt::format("ports: [{{port: {}, endPort: {}}}]", PERF_FIRST_SERVICE_PORT,
                                        PERF_FIRST_SERVICE_PORT + PERF_SERVICE_PORTS - 1);
  std::string yaml;
  for (int i = 0; i < size.rules; ++i)
    yaml += fmt::format("  - {{{}: [{{podSelector: {{matchLabels: {{peer: peer-{}}}}}}}], {}}}\n", side, i, ports);
  for (int i = 0; i < size.cidrs; ++i)
    yaml += fmt::format("  - {{{}: [{{ipBlock: {{cidr: {}}}}}, {{ipBlock: {{cidr: \"{}\"}}}}], {}}}\n", side,
                        PeerBlock(i, false), PeerBlock(i, true), ports);
  return yaml;
}

std::string PodsYaml(int rules) {
  std::string yaml = PodYaml("stranger", kWorldStranger, kStranger6);
  for (int i = 0; i < rules; ++i)
    yaml += PodYaml(fmt::format("peer-{}", i), PeerAddress(i, false), PeerAddress(i, true));
  return yaml;
}

std::string WorkloadYaml() {
  return fmt::format(
      "{{apiVersion: sluice.dev/v1alpha1, kind: Workload, metadata: {{name: pod, namespace: bench, labels: {{app: "
      "pod}}}}, spec: {{hostInterface: pod, ips: [{}, \"{}\"]}}}}\n",
      kWorldPod, kPod6);
}

std::string PolicyYaml(const ScenarioSize& size, bool ingress) {
  return fmt::format(
             "---\napiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {{name: {0}, namespace: bench}}\n"
             "spec:\n  podSelector: {{matchLabels: {{app: pod}}}}\n  policyTypes: [{1}]\n  {0}:\n",
             ingress ? "ingress" : "egress", ingress ? "Ingress" : "Egress") +
         RulesYaml(size, ingress ? "from" : "to");
}

// Split into three files: the parser accepts at most 32 MiB and four million values at once.
StatusOr<policy::ResourceMap> Resources(const ScenarioSize& size) {
  const std::string pods = size.rules > 0 ? PodsYaml(size.rules) : "";
  policy::ResourceMap resources;
  for (const std::string& file : {WorkloadYaml() + pods, PolicyYaml(size, true), PolicyYaml(size, false)}) {
    SL_ASSIGN_OR_RETURN(auto parsed, policy::ParseResources("benchmark", file));
    for (policy::Resource& resource : parsed) resources.insert_or_assign(resource.id, std::move(resource));
  }
  return resources;
}

}  // namespace

std::string PeerAddress(int number, bool v6) {
  if (v6) return fmt::format("fd01::{:x}:{:x}", (number + 1) >> 16, (number + 1) & 0xffff);
  return fmt::format("10.{}.{}.{}", 1 + number / 65536, number / 256 % 256, number % 256);
}

std::string PeerBlock(int number, bool v6) {
  if (v6) return fmt::format("2001:db8:{:x}:{:x}::/64", number >> 16, number & 0xffff);
  return fmt::format("100.{}.{}.{}/28", 64 + number / 4096, number / 16 % 256, number % 16 * 16);
}

std::string AddressInBlock(int number, bool v6) {
  const std::string block = PeerBlock(number, v6);
  return v6 ? block.substr(0, block.size() - 3) + "7"
            : fmt::format("100.{}.{}.{}", 64 + number / 4096, number / 16 % 256, number % 16 * 16 + 7);
}

StatusOr<World> MakeScenario(const ScenarioSize& size, std::uint32_t ifindex) {
  World world;
  const bool by_address = size.cidrs > 0;
  const int middle = (by_address ? size.cidrs : size.rules) / 2;
  for (const bool v6 : {false, true}) {
    SL_ASSIGN_OR_RETURN(world.pod[v6], policy::Address::Parse(v6 ? kPod6 : kWorldPod));
    SL_ASSIGN_OR_RETURN(world.friend_[v6],
                        policy::Address::Parse(by_address ? AddressInBlock(middle, v6) : PeerAddress(middle, v6)));
    const char* const stranger = by_address ? (v6 ? "2001:db9::1" : "203.0.113.1") : (v6 ? kStranger6 : kWorldStranger);
    SL_ASSIGN_OR_RETURN(world.stranger[v6], policy::Address::Parse(stranger));
  }
  SL_ASSIGN_OR_RETURN(const policy::ResourceMap resources, Resources(size));
  const policy::Binding binding{.ifindex = ifindex, .endpoint = 1, .ips = {world.pod[0], world.pod[1]}};
  SL_ASSIGN_OR_RETURN(world.snapshot, policy::Snapshot::Build(resources, {{{"bench", "pod"}, binding}}, {}));
  return world;
}

}  // namespace sluice::perf
