#include "perf/rate/rules.h"

#include "perf/net/allow.h"
#include "perf/net/sluice_node.h"

namespace sluice::perf {
namespace {

// The receiver's policy: allows all sources except those that `deny` names.
std::string BlockYaml(const Topology& topology, const std::string& deny) {
  return WorkloadYaml(topology.receiver()) +
         fmt::format(
             "---\napiVersion: sluice.dev/v1alpha1\nkind: NetworkPolicy\nmetadata: {{name: {0}, namespace: bench}}\n"
             "spec:\n  podSelector: {{matchLabels: {{app: {0}}}}}\n  policyTypes: [Ingress]\n  ingress:\n  - {{}}\n",
             topology.receiver().name) +
         deny;
}

}  // namespace

std::string NftBlock(int listed, const NftRules& rules) {
  const char* chain = "";
  switch (rules.hook) {
    case NftHook::kNetdev:
      chain = "type filter hook ingress device \"uplink\" priority 0";
      break;
    case NftHook::kPrerouting:
      // Before conntrack sees the packet, or after.
      chain =
          rules.conntrack ? "type filter hook prerouting priority filter" : "type filter hook prerouting priority raw";
      break;
    case NftHook::kInput:
      chain = "type filter hook input priority filter";
      break;
  }
  return fmt::format(
      "table {} bench {{\n set blocked {{\n type {}_addr\n {}elements = {{ {} }}\n }}\n chain in {{\n {}; policy "
      "accept;\n {}{} saddr @blocked drop\n }}\n}}\n",
      rules.hook == NftHook::kNetdev ? "netdev" : "inet", rules.v6 ? "ipv6" : "ipv4",
      rules.cidrs ? "flags interval\n " : "", ListedElements(listed, rules.cidrs, rules.v6), chain,
      rules.conntrack ? "ct state established,related accept\n " : "", rules.v6 ? "ip6" : "ip");
}

std::string IpsetList(int listed) {
  std::string text = fmt::format("create blocked hash:ip maxelem {}\n", listed);
  for (int i = 0; i < listed; ++i) text += fmt::format("add blocked {}\n", ListedAddress(i));
  return text;
}

std::string SluiceBlock(const Topology& topology, SluiceList list, int listed) {
  const bool v6 = topology.v6();
  std::string pods, deny;
  if (list == SluiceList::kPods) {
    for (int i = 0; i < listed; ++i) {
      pods += ListedPodYaml(i, v6);
      deny += fmt::format("  - {{from: [{{podSelector: {{matchLabels: {{peer: p-{}}}}}}}], action: Deny}}\n", i);
    }
    return BlockYaml(topology, deny) + pods;
  }
  deny = "  - action: Deny\n    from:\n";
  for (int i = 0; i < listed; ++i)
    deny += fmt::format("    - {{ipBlock: {{cidr: {}}}}}\n",
                        list == SluiceList::kCidrs ? ListedBlock(i, v6) : ListedAddress(i, v6) + (v6 ? "/128" : "/32"));
  return BlockYaml(topology, deny);
}

std::string SluiceBlockRange(const Topology& topology) {
  return BlockYaml(topology, fmt::format("  - {{from: [{{ipBlock: {{cidr: {}/8}}}}], action: Deny}}\n", kFirstListed));
}

std::string SluiceClosed(const test::TestPod& pod) {
  return WorkloadYaml(pod) +
         fmt::format(
             "---\napiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {{name: {0}, namespace: bench}}\n"
             "spec: {{podSelector: {{matchLabels: {{app: {0}}}}}, policyTypes: [Ingress]}}\n",
             pod.name);
}

}  // namespace sluice::perf
