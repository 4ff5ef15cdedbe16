#include "testbed/proxy_rules.h"

#include <fmt/format.h>
#include <netinet/in.h>

#include <iterator>

#include "testbed/command.h"

namespace sluice::test {
namespace {

// What the rules need of the kernel, by the name of the feature.
struct Needed {
  const char* feature;
  const char* rules;
};
constexpr Needed kOfIptables[] = {
    {"iptable_nat", "*nat\n-A OUTPUT -j ACCEPT\nCOMMIT\n"},
    {"iptable_filter", "*filter\n-A OUTPUT -j ACCEPT\nCOMMIT\n"},
    {"xt_comment", "*filter\n-A OUTPUT -m comment --comment x -j ACCEPT\nCOMMIT\n"},
    {"xt_mark", "*filter\n-A OUTPUT -m mark --mark 1/1 -j ACCEPT\nCOMMIT\n"},
    {"xt_conntrack", "*filter\n-A OUTPUT -m conntrack --ctstate NEW -j ACCEPT\nCOMMIT\n"},
    {"xt_addrtype", "*filter\n-A OUTPUT -m addrtype --dst-type LOCAL -j ACCEPT\nCOMMIT\n"},
    {"xt_statistic", "*filter\n-A OUTPUT -m statistic --mode random --probability 0.5 -j ACCEPT\nCOMMIT\n"},
    {"xt_MASQUERADE", "*nat\n-A POSTROUTING -j MASQUERADE --random-fully\nCOMMIT\n"}};
constexpr Needed kOfNftables[] = {
    {"nf_tables", "table ip probe { chain x { accept; }; }"},
    {"nft_chain_nat", "table ip probe { chain x { type nat hook output priority 0; }; }"},
    {"nft_masq", "table ip probe { chain x { type nat hook postrouting priority 0; masquerade fully-random; }; }"},
    {"nft_numgen", "table ip probe { chain x { numgen random mod 2 vmap { 0 : accept, 1 : drop }; }; }"},
    {"nft_fib_ipv4", "table ip probe { chain x { fib saddr type local accept; }; }"},
    {"nft_reject_ipv4", "table ip probe { chain x { reject; }; }"},
    {"nft_ct", "table ip probe { chain x { ct state new accept; }; }"}};

constexpr char kIptablesFilterChains[] = R"(*filter
:KUBE-NODEPORTS - [0:0]
:KUBE-SERVICES - [0:0]
:KUBE-EXTERNAL-SERVICES - [0:0]
:KUBE-FORWARD - [0:0]
:KUBE-PROXY-FIREWALL - [0:0]
:KUBE-FIREWALL - [0:0]
)";

constexpr char kIptablesFilter[] =
    R"(-A INPUT -m conntrack --ctstate NEW -m comment --comment "kubernetes load balancer firewall" -j KUBE-PROXY-FIREWALL
-A INPUT -m comment --comment "kubernetes health check service ports" -j KUBE-NODEPORTS
-A INPUT -m conntrack --ctstate NEW -m comment --comment "kubernetes externally-visible service portals" -j KUBE-EXTERNAL-SERVICES
-A INPUT -j KUBE-FIREWALL
-A FORWARD -m conntrack --ctstate NEW -m comment --comment "kubernetes load balancer firewall" -j KUBE-PROXY-FIREWALL
-A FORWARD -m comment --comment "kubernetes forwarding rules" -j KUBE-FORWARD
-A FORWARD -m conntrack --ctstate NEW -m comment --comment "kubernetes service portals" -j KUBE-SERVICES
-A FORWARD -m conntrack --ctstate NEW -m comment --comment "kubernetes externally-visible service portals" -j KUBE-EXTERNAL-SERVICES
-A OUTPUT -m conntrack --ctstate NEW -m comment --comment "kubernetes load balancer firewall" -j KUBE-PROXY-FIREWALL
-A OUTPUT -m conntrack --ctstate NEW -m comment --comment "kubernetes service portals" -j KUBE-SERVICES
-A OUTPUT -j KUBE-FIREWALL
-A KUBE-FIREWALL ! -s 127.0.0.0/8 -d 127.0.0.0/8 -m comment --comment "block incoming localnet connections" -m conntrack ! --ctstate RELATED,ESTABLISHED,DNAT -j DROP
-A KUBE-FORWARD -m conntrack --ctstate INVALID -j DROP
-A KUBE-FORWARD -m comment --comment "kubernetes forwarding rules" -m mark --mark 0x4000/0x4000 -j ACCEPT
-A KUBE-FORWARD -m comment --comment "kubernetes forwarding conntrack rule" -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
)";

constexpr char kIptablesNat[] = R"(-A PREROUTING -m comment --comment "kubernetes service portals" -j KUBE-SERVICES
-A OUTPUT -m comment --comment "kubernetes service portals" -j KUBE-SERVICES
-A POSTROUTING -m comment --comment "kubernetes postrouting rules" -j KUBE-POSTROUTING
-A KUBE-MARK-MASQ -j MARK --or-mark 0x4000
-A KUBE-POSTROUTING -m mark ! --mark 0x4000/0x4000 -j RETURN
-A KUBE-POSTROUTING -j MARK --xor-mark 0x4000
-A KUBE-POSTROUTING -m comment --comment "kubernetes service traffic requiring SNAT" -j MASQUERADE --random-fully
)";

// With its maps: endpoints, Services without endpoints, and node ports.
constexpr char kNftablesBase[] = R"(table ip kube-proxy {
 set cluster-ips { type ipv4_addr; }
 set nodeport-ips { type ipv4_addr; }
 map firewall-ips { type ipv4_addr . inet_proto . inet_service : verdict; }
 map no-endpoint-nodeports { type inet_proto . inet_service : verdict; }
 map no-endpoint-services { type ipv4_addr . inet_proto . inet_service : verdict; }
 map service-ips { type ipv4_addr . inet_proto . inet_service : verdict; }
 map service-nodeports { type inet_proto . inet_service : verdict; }
 chain reject-chain { reject; }
 chain cluster-ips-check {
  ip daddr @cluster-ips reject comment "Reject traffic to invalid ports of ClusterIPs"
  ip daddr { 10.96.0.0/12 } drop comment "Drop traffic to unallocated ClusterIPs"
 }
 chain firewall-check { ip daddr . meta l4proto . th dport vmap @firewall-ips; }
 chain nodeport-endpoints-check { ip daddr @nodeport-ips meta l4proto . th dport vmap @no-endpoint-nodeports; }
 chain service-endpoints-check { ip daddr . meta l4proto . th dport vmap @no-endpoint-services; }
 chain mark-for-masquerade { mark set mark or 0x4000; }
 chain masquerading {
  mark and 0x4000 == 0 return
  mark set mark xor 0x4000
  masquerade fully-random
 }
 chain services {
  ip daddr . meta l4proto . th dport vmap @service-ips
  ip daddr @nodeport-ips meta l4proto . th dport vmap @service-nodeports
 }
 chain filter-prerouting-pre-dnat { type filter hook prerouting priority -110; ct state new jump firewall-check; }
 chain filter-output-pre-dnat { type filter hook output priority -110; ct state new jump firewall-check; }
 chain filter-input {
  type filter hook input priority 0;
  ct state new jump nodeport-endpoints-check
  ct state new jump service-endpoints-check
 }
 chain filter-forward {
  type filter hook forward priority 0;
  ct state new jump service-endpoints-check
  ct state new jump cluster-ips-check
 }
 chain filter-output {
  type filter hook output priority 0;
  ct state new jump service-endpoints-check
  ct state new jump cluster-ips-check
 }
 chain nat-prerouting { type nat hook prerouting priority -100; jump services; }
 chain nat-output { type nat hook output priority -100; jump services; }
 chain nat-postrouting { type nat hook postrouting priority 100; jump masquerading; }
}
)";
constexpr char kClusterCidr[] = "10.0.0.0/8";

using Out = std::back_insert_iterator<std::string>;

const char* ProtocolOf(const ProxiedService& service) { return service.protocol == IPPROTO_UDP ? "udp" : "tcp"; }

bool IsExternal(const ProxiedService& service) { return service.node_port != 0 || !service.balancer.empty(); }

// "shop/web:http"
std::string PortNameOf(const ProxiedService& service) { return service.name + ":" + service.port_name; }

// Names of chains, from counters.
struct IptablesNames {
  std::string service, external, local;
  static IptablesNames Of(int number) {
    return {fmt::format("KUBE-SVC-{:016}", number), fmt::format("KUBE-EXT-{:016}", number),
            fmt::format("KUBE-SVL-{:016}", number)};
  }
};

struct IptablesText {
  std::string filter_rules, chains, entries, node_ports, rules;
  int endpoints = 0;  // chains of endpoints so far
};

// Jumps from `chain` to one of the endpoints, each with the same probability.
void ChooseEndpoint(const ProxiedService& service, const std::string& chain, const std::vector<std::string>& ends,
                    const std::vector<const ProxiedBackend*>& backends, std::string& rules) {
  for (std::size_t i = 0; i < backends.size(); ++i) {
    const std::size_t left = backends.size() - i;
    const std::string chance =
        left == 1 ? "" : fmt::format("-m statistic --mode random --probability {:.10f} ", 1.0 / double(left));
    fmt::format_to(Out(rules), "-A {} -m comment --comment \"{} -> {}:{}\" {}-j {}\n", chain, PortNameOf(service),
                   backends[i]->ip, backends[i]->port, chance, ends[i]);
  }
}

void AddExternal(const ProxiedService& service, const IptablesNames& names, bool has_local, IptablesText& text) {
  const std::string name = PortNameOf(service), protocol = ProtocolOf(service);
  const bool is_dropped = service.is_external_local && !has_local;
  fmt::format_to(Out(text.chains), ":{} - [0:0]\n", names.external);
  if (service.node_port != 0) {
    const std::string to = fmt::format("-m {} --dport {}", protocol, service.node_port);
    fmt::format_to(Out(text.node_ports), "-A KUBE-NODEPORTS -p {} -m comment --comment \"{}\" {} -j {}\n", protocol,
                   name, to, names.external);
    if (is_dropped)
      fmt::format_to(Out(text.filter_rules),
                     "-A KUBE-EXTERNAL-SERVICES -p {} -m comment --comment \"{} has no local endpoints\" -m addrtype "
                     "--dst-type LOCAL {} -j DROP\n",
                     protocol, name, to);
  }
  if (!service.balancer.empty()) {
    const std::string to = fmt::format("-m {} --dport {}", protocol, service.port);
    fmt::format_to(Out(text.entries),
                   "-A KUBE-SERVICES -d {}/32 -p {} -m comment --comment \"{} loadbalancer IP\" {} -j {}\n",
                   service.balancer, protocol, name, to, names.external);
    if (is_dropped)
      fmt::format_to(
          Out(text.filter_rules),
          "-A KUBE-EXTERNAL-SERVICES -d {}/32 -p {} -m comment --comment \"{} has no local endpoints\" {} -j "
          "DROP\n",
          service.balancer, protocol, name, to);
  }
  const std::string comment = fmt::format("traffic for {} external destinations\"", name);
  if (!service.is_external_local) {
    fmt::format_to(Out(text.rules),
                   "-A {0} -m comment --comment \"masquerade {1} -j KUBE-MARK-MASQ\n"
                   "-A {0} -j {2}\n",
                   names.external, comment, names.service);
    return;
  }
  fmt::format_to(Out(text.rules),
                 "-A {0} -s {1} -m comment --comment \"pod {2} -j {3}\n"
                 "-A {0} -m comment --comment \"masquerade LOCAL {2} -m addrtype --src-type LOCAL -j KUBE-MARK-MASQ\n"
                 "-A {0} -m comment --comment \"route LOCAL {2} -m addrtype --src-type LOCAL -j {3}\n",
                 names.external, kClusterCidr, comment, names.service);
  if (has_local) fmt::format_to(Out(text.rules), "-A {} -j {}\n", names.external, names.local);
}

void AddService(const ProxiedService& service, int number, IptablesText& text) {
  const IptablesNames names = IptablesNames::Of(number);
  const std::string name = PortNameOf(service), protocol = ProtocolOf(service);
  const std::string to = fmt::format("-d {0}/32 -p {1} -m comment --comment \"{2} cluster IP\" -m {1} --dport {3}",
                                     service.cluster_ip, protocol, name, service.port);
  fmt::format_to(Out(text.chains), ":{} - [0:0]\n", names.service);
  fmt::format_to(Out(text.entries), "-A KUBE-SERVICES {} -j {}\n", to, names.service);
  fmt::format_to(Out(text.rules), "-A {} ! -s {} {} -j KUBE-MARK-MASQ\n", names.service, kClusterCidr, to);
  std::vector<std::string> all_ends, local_ends;
  std::vector<const ProxiedBackend*> all, local;
  for (const ProxiedBackend& backend : service.backends) {
    const std::string end = fmt::format("KUBE-SEP-{:016}", text.endpoints++);
    fmt::format_to(Out(text.chains), ":{} - [0:0]\n", end);
    fmt::format_to(Out(text.rules),
                   "-A {0} -s {1}/32 -m comment --comment {2} -j KUBE-MARK-MASQ\n"
                   "-A {0} -p {3} -m comment --comment {2} -m {3} -j DNAT --to-destination {1}:{4}\n",
                   end, backend.ip, name, protocol, backend.port);
    all_ends.push_back(end);
    all.push_back(&backend);
    if (!backend.is_local) continue;
    local_ends.push_back(end);
    local.push_back(&backend);
  }
  ChooseEndpoint(service, names.service, all_ends, all, text.rules);
  if (!IsExternal(service)) return;
  AddExternal(service, names, !local.empty(), text);
  if (!service.is_external_local || local.empty()) return;
  fmt::format_to(Out(text.chains), ":{} - [0:0]\n", names.local);
  ChooseEndpoint(service, names.local, local_ends, local, text.rules);
}

struct NftablesText {
  std::string ends, choices, addresses;
  int endpoints = 0;  // chains of endpoints so far
};

// "numgen random mod 2 vmap { 0 : goto A, 1 : goto B }"
std::string ChoiceOf(const std::vector<std::string>& ends) {
  std::string verdicts;
  for (std::size_t i = 0; i < ends.size(); ++i)
    fmt::format_to(Out(verdicts), "{}{} : goto {}", i == 0 ? "" : ", ", i, ends[i]);
  return fmt::format("numgen random mod {} vmap {{ {} }}", ends.size(), verdicts);
}

void AddExternal(const ProxiedService& service, const std::string& chain, const std::string& external,
                 const std::vector<std::string>& local, NftablesText& text) {
  const char* const protocol = ProtocolOf(service);
  const auto rule = [&](const std::string& what) {
    fmt::format_to(Out(text.choices), "add rule ip kube-proxy {} {}\n", external, what);
  };
  fmt::format_to(Out(text.choices), "add chain ip kube-proxy {}\n", external);
  if (!service.is_external_local) {
    rule("jump mark-for-masquerade");
    rule("goto " + chain);
  } else {
    rule(fmt::format("ip saddr {} goto {} comment \"short-circuit pod traffic\"", kClusterCidr, chain));
    rule("fib saddr type local jump mark-for-masquerade comment \"masquerade local traffic\"");
    rule(fmt::format("fib saddr type local goto {} comment \"short-circuit local traffic\"", chain));
    if (!local.empty()) rule(ChoiceOf(local));
  }
  const bool is_dropped = service.is_external_local && local.empty();
  const auto element = [&](const char* map, const std::string& key, const std::string& verdict) {
    fmt::format_to(Out(text.addresses), "add element ip kube-proxy {} {{ {} : {} }}\n", map, key, verdict);
  };
  if (service.node_port != 0) {
    const std::string key = fmt::format("{} . {}", protocol, service.node_port);
    element("service-nodeports", key, "goto " + external);
    if (is_dropped) element("no-endpoint-nodeports", key, "drop");
  }
  if (service.balancer.empty()) return;
  const std::string key = fmt::format("{} . {} . {}", service.balancer, protocol, service.port);
  element("service-ips", key, "goto " + external);
  if (is_dropped) element("no-endpoint-services", key, "drop");
}

void AddService(const ProxiedService& service, int number, NftablesText& text) {
  const std::string protocol = ProtocolOf(service);
  const std::string name = fmt::format("{}/{}/{}", service.name, protocol, service.port_name);
  const std::string chain = fmt::format("service-{:08}-{}", number, name);
  std::vector<std::string> all, local;
  for (const ProxiedBackend& backend : service.backends) {
    const std::string end = fmt::format("endpoint-{:08}-{}__{}/{}", text.endpoints++, name, backend.ip, backend.port);
    fmt::format_to(Out(text.ends),
                   "add chain ip kube-proxy {0}\n"
                   "add rule ip kube-proxy {0} ip saddr {1} jump mark-for-masquerade\n"
                   "add rule ip kube-proxy {0} meta l4proto {2} dnat to {1}:{3}\n",
                   end, backend.ip, protocol, backend.port);
    all.push_back(end);
    if (backend.is_local) local.push_back(end);
  }
  fmt::format_to(Out(text.choices),
                 "add chain ip kube-proxy {0}\n"
                 "add rule ip kube-proxy {0} ip daddr {1} ip saddr != {2} jump mark-for-masquerade\n"
                 "add rule ip kube-proxy {0} {3}\n",
                 chain, service.cluster_ip, kClusterCidr, ChoiceOf(all));
  fmt::format_to(Out(text.addresses),
                 "add element ip kube-proxy cluster-ips {{ {0} }}\n"
                 "add element ip kube-proxy service-ips {{ {0} . {1} . {2} : goto {3} }}\n",
                 service.cluster_ip, protocol, service.port, chain);
  if (IsExternal(service)) AddExternal(service, chain, fmt::format("external-{:08}-{}", number, name), local, text);
}

}  // namespace

const char* ProxyModeName(ProxyMode mode) { return mode == ProxyMode::kIptables ? "iptables" : "nftables"; }

const char* ProxyProgram(ProxyMode mode) { return mode == ProxyMode::kIptables ? "iptables-legacy-restore" : "nft"; }

std::string IptablesOfServices(const std::vector<ProxiedService>& services) {
  IptablesText text;
  for (const char* chain : {"SERVICES", "NODEPORTS", "POSTROUTING", "MARK-MASQ"})
    fmt::format_to(Out(text.chains), ":KUBE-{} - [0:0]\n", chain);
  int number = 0;
  for (const ProxiedService& service : services) AddService(service, number++, text);
  text.entries += text.node_ports;
  text.entries +=
      "-A KUBE-SERVICES -m comment --comment \"kubernetes service nodeports; NOTE: this must be the last rule in this "
      "chain\" -m addrtype --dst-type LOCAL -j KUBE-NODEPORTS\n";
  return kIptablesFilterChains + std::string(kIptablesFilter) + text.filter_rules + "COMMIT\n*nat\n" + text.chains +
         kIptablesNat + text.entries + text.rules + "COMMIT\n";
}

std::vector<std::string> NftablesOfServices(const std::vector<ProxiedService>& services,
                                            const std::vector<std::string>& node_ips) {
  NftablesText text{.ends = kNftablesBase, .choices = {}, .addresses = {}};
  for (const std::string& ip : node_ips)
    fmt::format_to(Out(text.ends), "add element ip kube-proxy nodeport-ips {{ {} }}\n", ip);
  int number = 0;
  for (const ProxiedService& service : services) AddService(service, number++, text);
  return {std::move(text.ends), std::move(text.choices), std::move(text.addresses)};
}

std::string MissingProxyProgram(ProxyMode mode) {
  const std::string program = ProxyProgram(mode);
  return RunChecked({"sh", "-c", "command -v " + program}).ok() ? "" : program + " is not installed";
}

std::string MissingProxyFeature(ProxyMode mode) {
  const bool is_nft = mode == ProxyMode::kNftables;
  const std::vector<Needed> all = is_nft ? std::vector<Needed>(std::begin(kOfNftables), std::end(kOfNftables))
                                         : std::vector<Needed>(std::begin(kOfIptables), std::end(kOfIptables));
  Arguments command{ProxyProgram(mode)};
  if (is_nft) command.insert(command.end(), {"-c", "-f", "-"});
  for (const Needed& one : all)
    if (const Status tried = RunChecked(command, one.rules); !tried.ok())
      return fmt::format("the kernel lacks {}: {}", one.feature, Message(tried));
  return "";
}

Status InstallProxyRules(ProxyMode mode, const std::vector<ProxiedService>& services,
                         const std::vector<std::string>& node_ips, int seconds) {
  if (mode == ProxyMode::kIptables) return RunChecked({ProxyProgram(mode)}, IptablesOfServices(services), seconds);
  SL_RETURN_IF_ERROR(
      RunChecked({ProxyProgram(mode), "-f", "-"}, "add table ip kube-proxy\ndelete table ip kube-proxy\n", seconds));
  for (const std::string& part : NftablesOfServices(services, node_ips))
    SL_RETURN_IF_ERROR(RunChecked({ProxyProgram(mode), "-f", "-"}, part, seconds));
  return OkStatus();
}

}  // namespace sluice::test
