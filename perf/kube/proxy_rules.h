// The rules that kube-proxy has for Services with a cluster IP, in its modes iptables and nftables: its tables, chains,
// rules and their order, with the comments. Only the hashes in names of chains are numbers here. Structure: kubernetes
// pkg/proxy/iptables/proxier.go and pkg/proxy/nftables/proxier.go, 1.33.
#pragma once

#include <string>
#include <vector>

#include "policy/service/service.h"

namespace sluice::perf {

// `services`: TCP, IPv4. In the order of the table, which decides how many rules of iptables come before the one that
// matches. kube-proxy's own order is none in particular.
// For iptables-restore.
std::string IptablesOfServices(const policy::ServiceTable& services);
// For `nft -f`, one after the other: the kernel takes minutes for a single transaction of 5,000 Services.
std::vector<std::string> NftablesOfServices(const policy::ServiceTable& services);

}  // namespace sluice::perf
