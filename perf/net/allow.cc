#include "perf/net/allow.h"

#include "perf/bpf/rotation.h"
#include "perf/net/sluice_node.h"

namespace sluice::perf {
namespace {

constexpr std::uint32_t kFirst = 198U << 24 | 18U << 16;

std::string Dotted(std::uint32_t address) {
  return fmt::format("{}.{}.{}.{}", address >> 24, address >> 16 & 0xff, address >> 8 & 0xff, address & 0xff);
}

std::string NftForward(const std::string& sets, const std::string& rules) {
  return fmt::format(
      "table inet bench {{\n{} chain forward {{\n type filter hook forward priority filter; policy drop;\n ct state "
      "established,related accept\n{} }}\n}}\n",
      sets, rules);
}

// `side` is "from" or "to"; `also` is a peer more.
std::string PolicyYaml(const Allow& allow, const test::TestPod& pod, const char* side, const std::string& also) {
  const bool ingress = side[0] == 'f';
  const std::string ports = fmt::format("ports: [{{protocol: {}, port: {}, endPort: {}}}]", allow.protocol,
                                        PERF_FIRST_SERVICE_PORT, PERF_FIRST_SERVICE_PORT + PERF_SERVICE_PORTS - 1);
  std::string yaml = fmt::format(
      "---\napiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {{name: {0}, namespace: bench}}\nspec:\n"
      "  podSelector: {{matchLabels: {{app: {0}}}}}\n  policyTypes: [{1}]\n  {2}:\n",
      pod.name, ingress ? "Ingress" : "Egress", ingress ? "ingress" : "egress");
  for (int i = 0; i <= allow.rules; ++i) {
    if (i == allow.rules / 2) yaml += fmt::format("  - {{{}: [{}], {}}}\n", side, also, ports);
    if (i < allow.rules)
      yaml += fmt::format("  - {{{}: [{{podSelector: {{matchLabels: {{peer: p-{}}}}}}}], {}}}\n", side, i, ports);
  }
  return yaml;
}

}  // namespace

std::string ListedAddress(int number) { return Dotted(kFirst + number); }
std::string ListedBlock(int number) { return Dotted(kFirst + number * 16) + "/28"; }

std::string ListedElements(int number, bool cidrs) {
  std::string text;
  for (int i = 0; i < number; ++i) text += (i > 0 ? ", " : "") + (cidrs ? ListedBlock(i) : ListedAddress(i));
  return text;
}

std::string NftForwardSet(int listed, const std::string& allowed) {
  return NftForward(fmt::format(" set allowed {{\n type ipv4_addr\n elements = {{ {}, {} }}\n }}\n",
                                ListedElements(listed, false), allowed),
                    fmt::format(" ip saddr @allowed th dport {}-{} accept\n", PERF_FIRST_SERVICE_PORT,
                                PERF_FIRST_SERVICE_PORT + PERF_SERVICE_PORTS - 1));
}

std::string NftForwardRules(int listed, const std::string& allowed, int port) {
  std::string rules;
  for (int i = 0; i < listed; ++i) rules += fmt::format(" ip saddr {} tcp dport {} accept\n", ListedAddress(i), port);
  return NftForward({}, rules + fmt::format(" ip saddr {{ {} }} tcp dport {} accept\n", allowed, port));
}

std::string ListedPodYaml(int number) {
  return fmt::format(
      "---\n{{apiVersion: v1, kind: Pod, metadata: {{name: p-{0}, namespace: bench, labels: {{peer: p-{0}}}}}, status: "
      "{{phase: Running, podIPs: [{{ip: {1}}}]}}}}\n",
      number, ListedAddress(number));
}

std::string SluiceAllow(const Allow& allow) {
  const auto app = [](const test::TestPod& pod) {
    return fmt::format("{{podSelector: {{matchLabels: {{app: {}}}}}}}", pod.name);
  };
  const std::string sender =
      allow.local_sender ? app(*allow.sender) : fmt::format("{{ipBlock: {{cidr: {}/32}}}}", allow.sender->ip4);
  std::string yaml = WorkloadYaml(*allow.receiver) + PolicyYaml(allow, *allow.receiver, "from", sender);
  if (allow.local_sender)
    yaml += WorkloadYaml(*allow.sender) + PolicyYaml(allow, *allow.sender, "to", app(*allow.receiver));
  for (int i = 0; i < allow.rules; ++i) yaml += ListedPodYaml(i);
  return yaml;
}

}  // namespace sluice::perf
