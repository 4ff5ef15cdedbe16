// Rows cluster-ip/PATH/WHAT: TCP from a pod to a Service's cluster IP, translated by Sluice and by kube-proxy's rules.
// PATHs, of one node with two pods: `direct` to the backend's own address, with Sluice; sluice/services:N,
// iptables/services:N and nftables/services:N by the cluster IP beside N Services with 20 backends each;
// sluice-beside-iptables/..., sluice-beside-nftables/...: Sluice translates, and kube-proxy's rules are there too.
#pragma once

#include <string>
#include <vector>

#include "perf/suite.h"

namespace sluice::perf {

std::vector<std::string> ClusterIpRows(bool brief);

// Adds the selected rows, and names what is missing for others. An error when a byte is lost or wrong, a backend gets
// no connection, or Sluice drops a packet.
Status MeasureClusterIp(const RunOptions& options, Report* report);

}  // namespace sluice::perf
