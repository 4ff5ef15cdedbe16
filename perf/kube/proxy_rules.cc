#include "perf/kube/proxy_rules.h"

#include <fmt/format.h>

#include <iterator>

namespace sluice::perf {
namespace {

constexpr char kIptablesFilter[] = R"(*filter
:KUBE-NODEPORTS - [0:0]
:KUBE-SERVICES - [0:0]
:KUBE-EXTERNAL-SERVICES - [0:0]
:KUBE-FORWARD - [0:0]
:KUBE-PROXY-FIREWALL - [0:0]
:KUBE-FIREWALL - [0:0]
-A INPUT -m conntrack --ctstate NEW -m comment --comment "kubernetes load balancer firewall" -j KUBE-PROXY-FIREWALL
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
COMMIT
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
 set nodeport-ips { type ipv4_addr; elements = { 10.1.0.1 } }
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

std::string NameOf(const policy::ServiceEntry& entry) { return entry.service.ToString(); }

}  // namespace

std::string IptablesOfServices(const policy::ServiceTable& services) {
  std::string chains = "*nat\n", entries = kIptablesNat, rules;
  for (const char* chain : {"SERVICES", "NODEPORTS", "POSTROUTING", "MARK-MASQ"})
    chains += fmt::format(":KUBE-{} - [0:0]\n", chain);
  int service = 0, endpoint = 0;
  for (const auto& [frontend, entry] : services) {
    const std::string chain = fmt::format("KUBE-SVC-{:016}", service++), name = NameOf(entry);
    const std::string to = fmt::format("-d {}/32 -p tcp -m comment --comment \"{}:{} cluster IP\" -m tcp --dport {}",
                                       frontend.address.ToString(), name, entry.port_name, frontend.port);
    fmt::format_to(Out(chains), ":{} - [0:0]\n", chain);
    fmt::format_to(Out(entries), "-A KUBE-SERVICES {} -j {}\n", to, chain);
    fmt::format_to(Out(rules), "-A {} ! -s {} {} -j KUBE-MARK-MASQ\n", chain, kClusterCidr, to);
    std::size_t left = entry.backends.size();
    for (const policy::Backend& backend : entry.backends) {
      const std::string end = fmt::format("KUBE-SEP-{:016}", endpoint++), ip = backend.address.ToString();
      const std::string chance =
          left == 1 ? "" : fmt::format("-m statistic --mode random --probability {:.10f} ", 1.0 / double(left));
      --left;
      fmt::format_to(Out(chains), ":{} - [0:0]\n", end);
      fmt::format_to(Out(rules),
                     "-A {0} -m comment --comment \"{1}:{2} -> {3}:{4}\" {5}-j {6}\n"
                     "-A {6} -s {3}/32 -m comment --comment {1}:{2} -j KUBE-MARK-MASQ\n"
                     "-A {6} -p tcp -m comment --comment {1}:{2} -m tcp -j DNAT --to-destination {3}:{4}\n",
                     chain, name, entry.port_name, ip, backend.port, chance, end);
    }
  }
  entries +=
      "-A KUBE-SERVICES -m comment --comment \"kubernetes service nodeports; NOTE: this must be the last rule in this "
      "chain\" -m addrtype --dst-type LOCAL -j KUBE-NODEPORTS\n";
  return kIptablesFilter + chains + entries + rules + "COMMIT\n";
}

std::vector<std::string> NftablesOfServices(const policy::ServiceTable& services) {
  std::string ends = kNftablesBase, choices, addresses;
  int service = 0, endpoint = 0;
  for (const auto& [frontend, entry] : services) {
    const std::string name = fmt::format("{}/tcp/{}", NameOf(entry), entry.port_name);
    const std::string chain = fmt::format("service-{:08}-{}", service++, name), ip = frontend.address.ToString();
    std::string verdicts;
    for (std::size_t i = 0; i < entry.backends.size(); ++i) {
      const policy::Backend& backend = entry.backends[i];
      const std::string to = backend.address.ToString();
      const std::string end = fmt::format("endpoint-{:08}-{}__{}/{}", endpoint++, name, to, backend.port);
      fmt::format_to(Out(ends),
                     "add chain ip kube-proxy {0}\n"
                     "add rule ip kube-proxy {0} ip saddr {1} jump mark-for-masquerade\n"
                     "add rule ip kube-proxy {0} meta l4proto tcp dnat to {1}:{2}\n",
                     end, to, backend.port);
      fmt::format_to(Out(verdicts), "{}{} : goto {}", i == 0 ? "" : ", ", i, end);
    }
    fmt::format_to(Out(choices),
                   "add chain ip kube-proxy {0}\n"
                   "add rule ip kube-proxy {0} ip daddr {1} ip saddr != {2} jump mark-for-masquerade\n"
                   "add rule ip kube-proxy {0} numgen random mod {3} vmap {{ {4} }}\n",
                   chain, ip, kClusterCidr, entry.backends.size(), verdicts);
    fmt::format_to(Out(addresses),
                   "add element ip kube-proxy cluster-ips {{ {0} }}\n"
                   "add element ip kube-proxy service-ips {{ {0} . tcp . {1} : goto {2} }}\n",
                   ip, frontend.port, chain);
  }
  return {std::move(ends), std::move(choices), std::move(addresses)};
}

}  // namespace sluice::perf
