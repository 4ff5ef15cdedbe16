#include "perf/rate/rules.h"

#include "perf/net/sluice_node.h"

namespace sluice::perf {
namespace {

std::string Dotted(std::uint32_t address) {
  return fmt::format("{}.{}.{}.{}", address >> 24, address >> 16 & 0xff, address >> 8 & 0xff, address & 0xff);
}

constexpr std::uint32_t kFirst = 198U << 24 | 18U << 16;

std::string Elements(bool cidrs) {
  std::string text;
  for (int i = 0; i < kListed; ++i) text += (cidrs ? ListedBlock(i) : ListedAddress(i)) + ", ";
  return text;
}

std::string PodYaml(int number, const std::string& address) {
  return fmt::format(
      "---\n{{apiVersion: v1, kind: Pod, metadata: {{name: p-{0}, namespace: bench, labels: {{peer: p-{0}}}}}, status: "
      "{{phase: Running, podIPs: [{{ip: {1}}}]}}}}\n",
      number, address);
}

std::string PolicyHead(const char* api, const std::string& pod) {
  return fmt::format(
      "---\napiVersion: {}\nkind: NetworkPolicy\nmetadata: {{name: {}, namespace: bench}}\nspec:\n"
      "  podSelector: {{matchLabels: {{app: {}}}}}\n",
      api, pod, pod);
}

constexpr char kSluiceApi[] = "sluice.dev/v1alpha1", kKubernetesApi[] = "networking.k8s.io/v1";

// The receiver's policy: all may come in but whom `deny` names.
std::string BlockYaml(const Lane& lane, const std::string& deny) {
  return WorkloadYaml(lane.receiver()) + PolicyHead(kSluiceApi, lane.receiver().name) +
         "  policyTypes: [Ingress]\n  ingress:\n  - {}\n" + deny;
}

// Rules of one direction, a pod each; `also` is one more.
std::string RulesYaml(const char* side, const std::string& also) {
  const std::string ports = fmt::format("ports: [{{protocol: UDP, port: {}, endPort: {}}}]", PERF_FIRST_SERVICE_PORT,
                                        PERF_FIRST_SERVICE_PORT + PERF_SERVICE_PORTS - 1);
  std::string yaml;
  for (int i = 0; i < kListed; ++i) {
    if (i == kListed / 2) yaml += fmt::format("  - {{{}: [{}], {}}}\n", side, also, ports);
    yaml += fmt::format("  - {{{}: [{{podSelector: {{matchLabels: {{peer: p-{}}}}}}}], {}}}\n", side, i, ports);
  }
  return yaml;
}

}  // namespace

std::string ListedAddress(int number) { return Dotted(kFirst + number); }
std::string ListedBlock(int number) { return Dotted(kFirst + number * 16) + "/28"; }

std::string NftBlock(NftHook hook, bool cidrs, bool conntrack) {
  const char* chain = "";
  switch (hook) {
    case NftHook::kNetdev:
      chain = "type filter hook ingress device \"uplink\" priority 0";
      break;
    case NftHook::kPrerouting:
      chain = "type filter hook prerouting priority raw";
      break;
    case NftHook::kInput:
      chain = "type filter hook input priority filter";
      break;
  }
  return fmt::format(
      "table {} bench {{\n set blocked {{\n type ipv4_addr\n {}elements = {{ {} }}\n }}\n chain in {{\n {}; policy "
      "accept;\n {}ip saddr @blocked drop\n }}\n}}\n",
      hook == NftHook::kNetdev ? "netdev" : "inet", cidrs ? "flags interval\n " : "", Elements(cidrs), chain,
      conntrack ? "ct state established,related accept\n " : "");
}

std::string NftForward(const std::string& allowed) {
  return fmt::format(
      "table inet bench {{\n set allowed {{\n type ipv4_addr\n elements = {{ {}{} }}\n }}\n chain forward {{\n type "
      "filter hook forward priority filter; policy drop;\n ct state established,related accept\n ip saddr @allowed "
      "accept\n }}\n}}\n",
      Elements(false), allowed);
}

std::string IpsetList() {
  std::string text = "create blocked hash:ip maxelem 65536\n";
  for (int i = 0; i < kListed; ++i) text += fmt::format("add blocked {}\n", ListedAddress(i));
  return text;
}

std::string SluiceBlock(const Lane& lane, SluiceList list) {
  std::string pods, deny;
  if (list == SluiceList::kPods) {
    for (int i = 0; i < kListed; ++i) {
      pods += PodYaml(i, ListedAddress(i));
      deny += fmt::format("  - {{from: [{{podSelector: {{matchLabels: {{peer: p-{}}}}}}}], action: Deny}}\n", i);
    }
    return BlockYaml(lane, deny) + pods;
  }
  deny = "  - action: Deny\n    from:\n";
  for (int i = 0; i < kListed; ++i)
    deny += fmt::format("    - {{ipBlock: {{cidr: {}}}}}\n",
                        list == SluiceList::kCidrs ? ListedBlock(i) : ListedAddress(i) + "/32");
  return BlockYaml(lane, deny);
}

std::string SluiceBlockRange(const Lane& lane) {
  return BlockYaml(lane, fmt::format("  - {{from: [{{ipBlock: {{cidr: {}/15}}}}], action: Deny}}\n", kFirstListed));
}

std::string SluiceAllow(const Lane& lane) {
  const auto app = [](const test::TestPod& pod) {
    return fmt::format("{{podSelector: {{matchLabels: {{app: {}}}}}}}", pod.name);
  };
  const bool local = lane.sender().name != "outside";
  std::string yaml = WorkloadYaml(lane.receiver());
  if (local) yaml += WorkloadYaml(lane.sender());
  for (int i = 0; i < kListed; ++i) yaml += PodYaml(i, ListedAddress(i));
  const std::string sender =
      local ? app(lane.sender()) : fmt::format("{{ipBlock: {{cidr: {}/32}}}}", lane.sender().ip4);
  yaml += PolicyHead(kKubernetesApi, lane.receiver().name) + "  policyTypes: [Ingress]\n  ingress:\n" +
          RulesYaml("from", sender);
  if (local)
    yaml += PolicyHead(kKubernetesApi, lane.sender().name) + "  policyTypes: [Egress]\n  egress:\n" +
            RulesYaml("to", app(lane.receiver()));
  return yaml;
}

}  // namespace sluice::perf
