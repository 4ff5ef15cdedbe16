#include "perf/net/allow.h"

#include "perf/bpf/rotation.h"
#include "perf/net/sluice_node.h"

namespace sluice::perf {
namespace {

constexpr std::uint32_t kFirst = 198U << 24 | 18U << 16;
constexpr std::uint32_t kFirstBlock = 100U << 24 | 64U << 16;  // RFC 6598: a million blocks do not fit RFC 2544's

// IPv6 uses 2001:2::/48 (RFC 5180): the last 32 bits grow, as in IPv4.
std::string Listed(std::uint32_t first, std::uint32_t number, bool v6, const char* subnet) {
  if (v6) return fmt::format("2001:2:0:{}::{:x}:{:x}", subnet, number >> 16, number & 0xffff);
  const std::uint32_t address = first + number;
  return fmt::format("{}.{}.{}.{}", address >> 24, address >> 16 & 0xff, address >> 8 & 0xff, address & 0xff);
}

std::string OfBlock(int number, std::uint32_t offset, bool v6) {
  return Listed(kFirstBlock, static_cast<std::uint32_t>(number) * kListedBlockSize + offset, v6, "1");
}

std::string NftForward(const std::string& sets, const std::string& rules) {
  return fmt::format(
      "table inet bench {{\n{} chain forward {{\n type filter hook forward priority filter; policy drop;\n{} }}\n}}\n",
      sets, rules);
}
constexpr char kKnownFlows[] = " ct state established,related accept\n";

// `side` is "from" or "to"; `also` is one more peer.
std::string PolicyYaml(const Allow& allow, const test::TestPod& pod, const char* side, const std::string& also) {
  const bool ingress = side[0] == 'f';
  const std::string ports =
      fmt::format("ports: [{{protocol: {}, port: {}, endPort: {}}}]", allow.protocol,
                  PERF_FIRST_SERVICE_PORT + allow.first_service, PERF_FIRST_SERVICE_PORT + PERF_SERVICE_PORTS - 1);
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

std::string ListedAddress(int number, bool v6) { return Listed(kFirst, static_cast<std::uint32_t>(number), v6, "0"); }
std::string ListedBlock(int number, bool v6) { return OfBlock(number, 0, v6) + (v6 ? "/124" : "/28"); }
std::string InListedBlock(int number, bool v6) { return OfBlock(number, kListedBlockSize / 2, v6); }

std::string ListedElements(int number, bool cidrs, bool v6) {
  std::string text;
  for (int i = 0; i < number; ++i) text += (i > 0 ? ", " : "") + (cidrs ? ListedBlock(i, v6) : ListedAddress(i, v6));
  return text;
}

std::string NftForwardSet(const ForwardSet& set) {
  return NftForward(
      fmt::format(" set allowed {{\n type {}_addr\n elements = {{ {}, {} }}\n }}\n", set.v6 ? "ipv6" : "ipv4",
                  ListedElements(set.listed, false, set.v6), set.allowed),
      fmt::format("{} {} saddr @allowed th dport {}-{} accept\n", set.conntrack ? kKnownFlows : "",
                  set.v6 ? "ip6" : "ip", PERF_FIRST_SERVICE_PORT, PERF_FIRST_SERVICE_PORT + PERF_SERVICE_PORTS - 1));
}

std::string NftForwardRules(int listed, const std::string& allowed, int port) {
  std::string rules = kKnownFlows;
  for (int i = 0; i < listed; ++i) rules += fmt::format(" ip saddr {} tcp dport {} accept\n", ListedAddress(i), port);
  return NftForward({}, rules + fmt::format(" ip saddr {{ {} }} tcp dport {} accept\n", allowed, port));
}

std::string ListedPodYaml(int number, bool v6) {
  return fmt::format(
      "---\n{{apiVersion: v1, kind: Pod, metadata: {{name: p-{0}, namespace: bench, labels: {{peer: p-{0}}}}}, status: "
      "{{phase: Running, podIPs: [{{ip: {1}}}]}}}}\n",
      number, ListedAddress(number, v6));
}

std::string SluiceAllow(const Allow& allow) {
  const auto app = [](const test::TestPod& pod) {
    return fmt::format("{{podSelector: {{matchLabels: {{app: {}}}}}}}", pod.name);
  };
  const std::string sender = allow.local_sender ? app(*allow.sender)
                             : allow.v6         ? fmt::format("{{ipBlock: {{cidr: {}/128}}}}", allow.sender->ip6)
                                                : fmt::format("{{ipBlock: {{cidr: {}/32}}}}", allow.sender->ip4);
  std::string yaml = WorkloadYaml(*allow.receiver) + PolicyYaml(allow, *allow.receiver, "from", sender);
  if (allow.local_sender)
    yaml += WorkloadYaml(*allow.sender) + PolicyYaml(allow, *allow.sender, "to", app(*allow.receiver));
  for (int i = 0; i < allow.rules; ++i) yaml += ListedPodYaml(i, allow.v6);
  return yaml;
}

}  // namespace sluice::perf
