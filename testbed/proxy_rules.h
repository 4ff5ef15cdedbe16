// The rules that kube-proxy has on one node for Services, in its modes iptables and nftables: its tables, chains, rules
// and their order, with the comments. Only the hashes in names of chains are numbers here. Structure: kubernetes
// pkg/proxy/iptables/proxier.go and pkg/proxy/nftables/proxier.go, 1.33. IPv4.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/status.h"

namespace sluice::test {

struct ProxiedBackend {
  std::string ip;
  std::uint16_t port = 0;
  bool is_local = false;  // on this node; counts for externalTrafficPolicy: Local
};

struct ProxiedService {
  std::string name;  // "shop/web"
  std::string port_name;
  std::uint8_t protocol = 0;  // TCP or UDP
  std::string cluster_ip;
  std::uint16_t port = 0;
  std::vector<ProxiedBackend> backends;  // at least one
  std::uint16_t node_port = 0;           // 0: it has none
  std::string balancer;                  // address of a load balancer; empty: it has none
  bool is_external_local = false;        // externalTrafficPolicy: Local
};

enum class ProxyMode { kIptables, kNftables };
const char* ProxyModeName(ProxyMode mode);
// The program that takes the rules.
const char* ProxyProgram(ProxyMode mode);

// The order of the Services decides how many rules of iptables come before the one that matches. kube-proxy's own order
// is none in particular. Sources in 10.0.0.0/8 are pods.
// For iptables-legacy-restore.
std::string IptablesOfServices(const std::vector<ProxiedService>& services);
// For `nft -f`, one after the other: the kernel takes minutes for a single transaction of 5,000 Services. `node_ips`:
// the node's addresses that have node ports. In mode iptables all of its addresses have them.
std::vector<std::string> NftablesOfServices(const std::vector<ProxiedService>& services,
                                            const std::vector<std::string>& node_ips);

// Empty: the program is installed.
std::string MissingProxyProgram(ProxyMode mode);
// What the kernel lacks for the rules, by the name of the feature; empty: nothing. In the network namespace of the
// calling thread, whose rules of iptables it replaces.
std::string MissingProxyFeature(ProxyMode mode);

// In the network namespace of the calling thread, in place of the rules that were there. Takes up to `seconds` for each
// part. Fails when the program is not installed, or when the kernel lacks a match or a target.
Status InstallProxyRules(ProxyMode mode, const std::vector<ProxiedService>& services,
                         const std::vector<std::string>& node_ips, int seconds = 30);

}  // namespace sluice::test
